"""What a network can learn from besides labels: the opinion of other, trained models.

Takes their names or files; gives probabilities for the digits that the student sees, and the loss of not agreeing. Of several, one
in turn answers each batch: over the batches the student learns from all of them, for the time of one.
"""

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from inkdigits.core.digits import CLASSES
from inkdigits.core.errors import BadValue
from inkdigits.data.catalogue import DATASETS
from inkdigits.reading.model_files import WEIGHTS, quantised_models, resolve_model, shipped_models
from inkdigits.reading.recogniser import Recogniser

LEAST_PROBABILITY = 1e-8  # its logarithm is taken
TEACHERS = WEIGHTS / "teachers"  # networks that recipes of ours learn from, in eight bits

# uint8 digits (N, 28, 28) -> float32 probabilities (N, 10)
Teacher = Callable[[NDArray[np.uint8]], NDArray[np.float32]]


def teacher_files(models: Iterable[str]) -> list[Path]:
    """The .onnx files of a recipe's teachers. Raises UnknownName or BadModel.

    models: shipped names, run folders, .onnx files, or folders of such; `teachers` is the folder in the package.
    """
    files, shipped = list[Path](), {*shipped_models(), *quantised_models()}
    for model in models:
        folder = TEACHERS if model == TEACHERS.name else Path(model)
        is_one = (
            model in shipped or (folder / "model.onnx").is_file()
        )  # a run's folder may hold other exports of it
        several = [] if is_one else sorted(folder.glob("*.onnx"))
        files += several or [resolve_model(model)]
    return files


def load_teachers(models: Iterable[str], classes: Sequence[str]) -> list[Teacher]:
    """What a recipe names as its teachers; each answers every so many batches. Raises UnknownName, BadModel or BadValue.

    classes: what the student is to tell apart. A teacher that is known to have learned something else is refused. They run on the
    processor, on as many threads as torch, wherever the network itself is trained.
    """
    recognisers = [
        Recogniser(file, threads=torch.get_num_threads()) for file in teacher_files(models)
    ]
    for recogniser in recognisers:
        learned = DATASETS.get(recogniser.trained_on or "")
        if learned and learned.classes[:CLASSES] != tuple(classes[:CLASSES]):
            theirs, ours = (", ".join(names[:2]) for names in (learned.classes, classes))
            says = f"a teacher that learned from {learned.name} knows {theirs} and so on, not {ours} and so on"
            raise BadValue(f"{says}; --set teacher=[] trains without")
    return [recogniser.classify for recogniser in recognisers]


def ask(teacher: Teacher, ink: Tensor) -> Tensor:
    """What the teacher makes of ink (N, 1, 28, 28) in [0, 1], which it sees rounded to 256 shades: probabilities (N, 10)."""
    seen = (ink[:, 0] * 255).round().clamp(0, 255).byte().cpu().numpy()
    return torch.from_numpy(teacher(seen)).to(ink.device)


def imitation_loss(logits: Tensor, probabilities: Tensor, temperature: float) -> Tensor:
    """How far a student's logits (N, 10) are from a teacher's probabilities (N, 10), both softened: 0 where they agree.

    The Kullback-Leibler divergence, whose gradient is that of the cross-entropy. Source: Hinton, Vinyals & Dean 2015. The factor
    T^2 keeps the gradients as large as those of the labels.
    """
    softened = torch.softmax(probabilities.clamp_min(LEAST_PROBABILITY).log() / temperature, dim=1)
    return (
        F.kl_div(torch.log_softmax(logits / temperature, dim=1), softened, reduction="batchmean")
        * temperature**2
    )
