"""What a network can learn from besides labels: the opinion of other, trained models.

Takes their names or files; gives probabilities for the digits that the student sees, and the loss of not agreeing.
"""

from collections.abc import Callable, Sequence

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from inkdigits.recogniser import Recogniser

LEAST_PROBABILITY = 1e-8  # its logarithm is taken

# uint8 digits (N, 28, 28) -> float32 probabilities (N, 10)
Teacher = Callable[[NDArray[np.uint8]], NDArray[np.float32]]


def load_teacher(models: Sequence[str]) -> Teacher | None:
    """Several models as one, which gives the mean of their probabilities; None without any. Raises UnknownName or BadModel.

    They run on the processor, on as many threads as torch, wherever the network itself is trained.
    """
    recognisers = [Recogniser(model, threads=torch.get_num_threads()) for model in models]

    def teacher(images: NDArray[np.uint8]) -> NDArray[np.float32]:
        mean: NDArray[np.float32] = np.mean([recogniser.classify(images) for recogniser in recognisers], axis=0)
        return mean

    return teacher if recognisers else None


def ask(teacher: Teacher, ink: Tensor) -> Tensor:
    """What the teacher makes of ink (N, 1, 28, 28) in [0, 1], which it sees rounded to 256 shades: probabilities (N, 10)."""
    seen = (ink[:, 0] * 255).round().clamp(0, 255).byte().cpu().numpy()
    return torch.from_numpy(teacher(seen)).to(ink.device)


def imitation_loss(logits: Tensor, probabilities: Tensor, temperature: float) -> Tensor:
    """Cross-entropy between a teacher's probabilities (N, 10) and a student's logits (N, 10), both softened.

    Source: Hinton, Vinyals & Dean 2015. The factor T^2 keeps the gradients as large as those of the labels.
    """
    softened = torch.softmax(probabilities.clamp_min(LEAST_PROBABILITY).log() / temperature, dim=1)
    return F.cross_entropy(logits / temperature, softened) * temperature**2
