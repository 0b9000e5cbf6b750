"""The second look's network: a symbol with its surroundings comes in, the logits of its kind go out."""

import torch.nn.functional as F
from torch import Tensor, nn

from inkdigits.training.page.network import KINDS, Residual, convolution, stage


class LookNetwork(nn.Module):
    """Tells ten digits, five separators and anything else apart in looks: uint8 (N, 3, 32, 32)."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(convolution(3, 24), Residual(24))
        self.stage2 = stage(24, 48, 2)
        self.stage4 = stage(48, 80, 2)
        self.last_stage = convolution(80, 112, stride=2)
        self.last = nn.Linear(112 * 16, KINDS)

    def forward(self, looks: Tensor) -> Tensor:
        x = looks.float() / 127.5 - 1
        x = self.last_stage(self.stage4(self.stage2(self.stem(x))))
        return self.last(F.dropout(x.flatten(1), 0.2, self.training))
