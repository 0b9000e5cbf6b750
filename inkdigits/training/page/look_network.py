"""The second look's network: a symbol with its surroundings in, the logits of its kind out."""

import torch.nn.functional as F
from torch import Tensor, nn

from inkdigits.reading.page.find import KINDS
from inkdigits.reading.page.look import PLANES
from inkdigits.training.page.network import Residual, convolution, stage

DROPOUT = 0.2  # not yet measured


class LookNetwork(nn.Module):
    """Tells ten digits, five signs and anything else apart in looks: uint8 (N, 6, 32, 32).

    The view from near goes through a residual network. A small one says of the view from far which
    kinds are likely there: among digits, in a word, beside the rays of a sun.
    """

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

        self.around = nn.Sequential(
            convolution(3, 16, stride=2),
            convolution(16, 32, stride=2),
            convolution(32, 48, stride=2),
            nn.Flatten(),
        )
        self.last_around = nn.Linear(48 * 16, KINDS)

    def forward(self, looks: Tensor) -> Tensor:
        x = looks.float() / 127.5 - 1
        near = x[:, :PLANES]
        far = x[:, PLANES:]

        x = self.stem(near)
        x = self.stage2(x)  # (N, 48, 16, 16)
        x = self.stage4(x)  # (N, 80, 8, 8)
        x = self.last_stage(x)  # (N, 112, 4, 4)

        x = F.dropout(x.flatten(1), DROPOUT, self.training)
        return self.last(x) + self.last_around(self.around(far))
