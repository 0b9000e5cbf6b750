"""The second look's network: a symbol with its surroundings in, the logits of its kind out."""

import torch.nn.functional as F
from torch import Tensor, nn

from inkdigits.training.page.network import KINDS, Residual, convolution, stage

DROPOUT = 0.2  # not yet measured


class LookNetwork(nn.Module):
    """Tells ten digits, five separators and anything else apart in looks: uint8 (N, 3, 32, 32)."""

    def __init__(self) -> None:
        super().__init__()

        self.stem = nn.Sequential(
            convolution(3, 24),
            Residual(24),
        )
        self.stage2 = stage(24, 48, blocks=2)
        self.stage4 = stage(48, 80, blocks=2)
        self.last_stage = convolution(80, 112, stride=2)
        self.last = nn.Linear(112 * 16, KINDS)

    def forward(self, looks: Tensor) -> Tensor:
        x = looks.float() / 127.5 - 1

        x = self.stem(x)
        x = self.stage2(x)  # (N, 48, 16, 16)
        x = self.stage4(x)  # (N, 80, 8, 8)
        x = self.last_stage(x)  # (N, 112, 4, 4)

        x = F.dropout(x.flatten(1), DROPOUT, self.training)
        return self.last(x)
