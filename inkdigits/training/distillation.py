"""Knowledge distillation: learning from trained models as well as from labels.

Names or files of models come in; teachers that give probabilities, and the loss of disagreeing with
them, go out. Of several teachers one in turn answers each batch: over the batches the student
learns from all of them, for the time of one.

Source: Hinton, Vinyals & Dean 2015, "Distilling the knowledge in a neural network".
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

LEAST_PROBABILITY = 1e-8  # of a teacher, whose logarithm is taken
TEACHERS = WEIGHTS / "teachers"  # the networks that shipped recipes learn from, in eight bits

# uint8 digits (N, 28, 28) -> float32 probabilities (N, 10)
Teacher = Callable[[NDArray[np.uint8]], NDArray[np.float32]]


def teacher_files(models: Iterable[str]) -> list[Path]:
    """Return the .onnx files of a recipe's teachers.

    Args:
        models: shipped names, run folders, .onnx files, or folders of .onnx files; `teachers` is
            the folder in the package.

    Raises:
        UnknownName: there is no such model.
        BadModel: a folder holds no model.
    """
    shipped = {*shipped_models(), *quantised_models()}
    files = list[Path]()
    for model in models:
        folder = TEACHERS if model == TEACHERS.name else Path(model)
        # The folder of a run is one model, even if other exports of it are there, too.
        is_one_model = model in shipped or (folder / "model.onnx").is_file()
        several = [] if is_one_model else sorted(folder.glob("*.onnx"))
        files += several or [resolve_model(model)]

    return files


def load_teachers(models: Iterable[str], classes: Sequence[str]) -> list[Teacher]:
    """Load the teachers that a recipe names.

    They run on the CPU, on as many threads as torch, on any device that the student is trained on.

    Args:
        models: as for `teacher_files`.
        classes: the names of the student's classes.

    Raises:
        UnknownName: there is no such model.
        BadModel: a file is damaged.
        BadValue: a teacher is known to have learned other classes.
    """
    threads = torch.get_num_threads()
    recognisers = [Recogniser(file, threads=threads) for file in teacher_files(models)]
    for recogniser in recognisers:
        learned = DATASETS.get(recogniser.trained_on or "")
        if learned and learned.classes[:CLASSES] != tuple(classes[:CLASSES]):
            theirs = ", ".join(learned.classes[:2])
            ours = ", ".join(classes[:2])
            raise BadValue(
                f"a teacher that learned from {learned.name} knows {theirs} and so on, "
                f"not {ours} and so on; --set teacher=[] trains without"
            )

    return [recogniser.classify for recogniser in recognisers]


def ask(teacher: Teacher, ink: Tensor) -> Tensor:
    """Ask a teacher about digits.

    Args:
        teacher: gets the digits rounded to 256 shades.
        ink: (N, 1, 28, 28) float32, paper 0 to ink 1.

    Returns:
        Its probabilities (N, 10) float32, on the device of the ink.
    """
    pixels = (ink[:, 0] * 255).round().clamp(0, 255).byte().cpu().numpy()
    return torch.from_numpy(teacher(pixels)).to(ink.device)


def distillation_loss(logits: Tensor, probabilities: Tensor, temperature: float) -> Tensor:
    """Measure how far a student is from a teacher, 0 where they agree.

    This is the Kullback-Leibler divergence between both softened distributions, whose gradient is
    that of the cross-entropy. The factor T^2 keeps the gradients as large as those of the labels.

    Source: Hinton, Vinyals & Dean 2015, section 2.

    Args:
        logits: the student's, (N, 10).
        probabilities: the teacher's, (N, 10).
        temperature: T; above 1 also tells which wrong digits the teacher finds likely.

    Returns:
        The mean over the digits, a scalar.
    """
    teacher_logits = probabilities.clamp_min(LEAST_PROBABILITY).log()
    softened_teacher = torch.softmax(teacher_logits / temperature, dim=1)
    softened_student = torch.log_softmax(logits / temperature, dim=1)
    divergence = F.kl_div(softened_student, softened_teacher, reduction="batchmean")
    return divergence * temperature**2
