"""A file of 28x28 images in, the table that Kaggle's "Digit Recognizer" marks out: a digit for every image, whatever it may be.

Holds one block of images at a time, and knows nothing of networks. Source of the format: Kaggle's sample_submission.csv.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from inkdigits.core.errors import BadValue
from inkdigits.core.files import write_whole
from inkdigits.core.formats import iter_images
from inkdigits.core.progress import ProgressCallback
from inkdigits.reading.recogniser import Recogniser

HEADER = "ImageId,Label"


@dataclass(frozen=True)
class Submission:
    """What was written. doubtful: images that are read as a digit here because there must be one, and nowhere else."""

    path: str
    images: int
    doubtful: int


def write_submission(
    recogniser: Recogniser,
    sources: Sequence[str],
    target: Path,
    progress: ProgressCallback | None = None,
) -> Submission:
    """Put the most likely digit of each image into the table `target`, whole or not at all; a file that is there is replaced.

    sources: one IDX, .npz, .npy or CSV file; labels in it are not looked at. progress: called with the images read so far.
    Raises BadValue for anything else than one file, BadData where it holds no images, CannotWrite.
    """
    if len(sources) != 1 or Path(sources[0]).is_dir():
        found = (
            f"the folder {sources[0]}" if len(sources) == 1 else f"{len(sources)} things to read"
        )
        raise BadValue(
            f"a submission is made of one file of 28x28 images, such as Kaggle's test.csv, not of {found}"
        )
    source = Path(sources[0])
    if target.exists() and source.exists() and target.samefile(source):
        raise BadValue(
            f"the submission would take the place of what is read, {source}; choose another name"
        )
    counts = [0, 0]

    def write(temporary: Path) -> None:
        with temporary.open("w", newline="") as file:
            file.write(f"{HEADER}\n")
            for number, (digit, accepted) in enumerate(_answers(recogniser, source, progress), 1):
                file.write(f"{number},{digit}\n")
                counts[0], counts[1] = number, counts[1] + (not accepted)

    write_whole(target, write)
    return Submission(str(target), images=counts[0], doubtful=counts[1])


def _answers(
    recogniser: Recogniser, source: Path, progress: ProgressCallback | None
) -> Iterator[tuple[int, bool]]:
    """The most likely digit of each image, and whether it would be read as one."""
    done = 0
    for images in iter_images(source):
        for image, reading in zip(images, recogniser.read_images(images), strict=True):
            if reading.digits:
                yield reading.digits[0].digit, reading.digits[0].accepted
            else:  # there is no ink
                yield int(recogniser.classify(image).argmax()), False
        done += len(images)
        if progress:
            progress(f"reading {source}", done, None)
