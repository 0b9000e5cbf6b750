"""A model and a dataset in, the model's predictions and its Evaluation out."""

from dataclasses import dataclass, replace
from pathlib import Path

from inkdigits.core.digits import CLASSES, Array
from inkdigits.core.errors import UnknownName, needs_extra
from inkdigits.core.progress import ProgressCallback
from inkdigits.data.datasets import Dataset, load_dataset
from inkdigits.evaluation.metrics import Evaluation, evaluate_probabilities
from inkdigits.evaluation.selective import auroc

MNIST_C = "mnist-c"  # mnist-c/fog are MNIST's digits through one of its corruptions
CORRUPTION_SEED = 0  # the same digits for everybody


@dataclass(frozen=True)
class Predictions:
    """What a model said about the digits of a split.

    Attributes:
        model: the name or path of the model.
        data: the name of the dataset.
        split: the name of the split.
        classes: the names of the ten classes.
        images: uint8 (N, 28, 28), paper 0 to ink 255.
        labels: (N,) integers, 0 to 9.
        probabilities: float32 (N, 10).
        sureness: how sure the model is to see a digit, of the N digits and of the M other things
            in the split; None if there are no other things.
        left_out: how many pictures of the dataset could not be used.
    """

    model: str
    data: str
    split: str
    classes: tuple[str, ...]
    images: Array
    labels: Array
    probabilities: Array
    sureness: tuple[Array, Array] | None = None
    left_out: int = 0


def evaluate(
    model: str | Path = "default",
    data: str | Path = "mnist",
    split: str | None = None,
    *,
    data_dir: str | Path | None = None,
) -> Evaluation:
    """Measure a model on a whole split of a dataset: `inkdigits evaluate`.

    Args:
        model: a shipped model's name, a folder made by training, or an .onnx file.
        data: the name or path of a dataset; mnist-c/fog for MNIST's digits through a corruption.
        split: the name of a split; None for the one that `default_split` chooses.
        data_dir: the folder with the datasets; None for the default one.

    Raises:
        UnknownName: there is no such model, dataset or split.
        BadModel: the model is missing or damaged.
        BadData: the dataset is missing or damaged.
        DownloadFailed: no mirror delivered the dataset.
    """
    return evaluate_predictions(predict(model, data, split, data_dir=data_dir))


def predict(
    model: str | Path = "default",
    data: str | Path = "mnist",
    split: str | None = None,
    *,
    data_dir: str | Path | None = None,
    progress: ProgressCallback | None = None,
) -> Predictions:
    """Read every digit of a split with a model.

    Args:
        model: as for `evaluate`.
        data: as for `evaluate`.
        split: as for `evaluate`.
        data_dir: as for `evaluate`.
        progress: as for `load_dataset`.

    Raises:
        InkdigitsError: as for `evaluate`.
    """
    from inkdigits.reading.recogniser import Recogniser

    corruption = corruption_in(str(data))
    # The model comes first: it may not exist, and the data may have to be downloaded.
    recogniser = Recogniser(model)
    dataset = load_dataset("mnist" if corruption else data, data_dir=data_dir, progress=progress)
    split = split or default_split(dataset, recogniser.trained_on)
    shown = dataset[split].images
    labels = dataset[split].labels
    if corruption:
        with needs_extra("corrupting digits", "train"):
            from inkdigits.data.synthetic.corruptions import corrupt

        shown = corrupt(shown, corruption, CORRUPTION_SEED)

    # `handwriting` also holds things that are not digits.
    is_digit = labels < CLASSES
    images = shown[is_digit]
    others = shown[~is_digit]
    sureness = None
    if len(others):
        sureness = recogniser.sureness(images), recogniser.sureness(others)

    return Predictions(
        model=str(model),
        data=str(data) if corruption else dataset.name,
        split=split,
        classes=dataset.classes[:CLASSES],
        images=images,
        labels=labels[is_digit],
        probabilities=recogniser.classify(images),
        sureness=sureness,
        left_out=len(dataset.unusable),
    )


def corruption_in(data: str) -> str | None:
    """Return the corruption that a name such as `mnist-c/fog` asks for, None for other data.

    Raises:
        UnknownName: there is no such corruption.
        MissingExtra: OpenCV is not installed.
    """
    name, slash, corruption = data.partition("/")
    if name != MNIST_C or not slash:
        return None

    with needs_extra("corrupting digits", "train"):
        from inkdigits.data.synthetic.corruptions import CORRUPTIONS

    if corruption not in CORRUPTIONS:
        raise UnknownName(f"corruption in {MNIST_C}:", corruption, CORRUPTIONS)
    return corruption


def default_split(dataset: Dataset, trained_on: str | None = None) -> str:
    """Choose what to measure on.

    Args:
        dataset: the data at hand.
        trained_on: the name of the data that the model learned from, if it is known.

    Returns:
        "all" if the data came without splits and the model has not learned from it, else "test".
    """
    seen_in_training = _parts(dataset.name) & _parts(trained_on or "")
    return "all" if "all" in dataset.splits and not seen_in_training else "test"


def _parts(name: str) -> set[Path]:
    """Split the name of joined datasets, such as `mnist+my-digits`, into paths to compare."""
    return {Path(part).resolve() for part in name.split("+") if part}


def evaluate_predictions(seen: Predictions) -> Evaluation:
    """Compute the figures of predictions, those about things that are not digits included."""
    figures = evaluate_probabilities(
        seen.probabilities, seen.labels, model=seen.model, data=seen.data, split=seen.split
    )
    if seen.sureness is None:
        return figures

    digits, others = seen.sureness
    return replace(figures, n_no_digit=len(others), auroc_no_digit=auroc(digits, others))
