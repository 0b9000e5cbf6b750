"""A submission to Kaggle's "Digit Recognizer": a file of 28x28 images comes in, a table goes out.

The table has a digit for every image, even a doubtful one. One block of images is in memory at a
time. Source of the format: Kaggle's sample_submission.csv.
"""

from collections import Counter
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
    """The table that was written.

    Attributes:
        path: of the table.
        images: how many digits it has.
        doubtful: how many of these are digits only because there must be one for every image.
    """

    path: str
    images: int
    doubtful: int


def write_submission(
    recogniser: Recogniser,
    sources: Sequence[str],
    target: Path,
    progress: ProgressCallback | None = None,
) -> Submission:
    """Write the most likely digit of each image into a table, whole or not at all.

    Args:
        recogniser: reads the images.
        sources: one IDX, .npz, .npy or CSV file; labels in it are ignored.
        target: the table; a file that is there is replaced.
        progress: called with the number of images read so far.

    Raises:
        BadValue: the source is not one file, or would be replaced by the table.
        BadData: the source is damaged, or holds no images.
        CannotWrite: the table cannot be written.
    """
    source = _one_file(sources)
    if target.exists() and source.exists() and target.samefile(source):
        raise BadValue(
            f"the submission would take the place of what is read, {source}; choose another name"
        )

    counts = Counter[bool]()  # of images whose digit would be accepted, and of the others

    def write(temporary: Path) -> None:
        with temporary.open("w", newline="") as file:
            file.write(f"{HEADER}\n")
            for digit, is_accepted in _answers(recogniser, source, progress):
                counts[is_accepted] += 1
                file.write(f"{counts.total()},{digit}\n")

    write_whole(target, write)
    return Submission(str(target), images=counts.total(), doubtful=counts[False])


def _one_file(sources: Sequence[str]) -> Path:
    """Return the path of the one file to read, or raise BadValue."""
    found = f"{len(sources)} things to read"
    if len(sources) == 1:
        path = Path(sources[0])
        if not path.is_dir():
            return path

        found = f"the folder {sources[0]}"

    raise BadValue(
        "a submission is made of one file of 28x28 images, such as Kaggle's test.csv, "
        f"not of {found}"
    )


def _answers(
    recogniser: Recogniser, source: Path, progress: ProgressCallback | None
) -> Iterator[tuple[int, bool]]:
    """Yield the most likely digit of each image, and whether it would be read as one."""
    done = 0
    for images in iter_images(source):
        for image, reading in zip(images, recogniser.read_images(images), strict=True):
            if reading.digits:
                digit = reading.digits[0]
                yield digit.digit, digit.accepted
            else:  # there is no ink
                yield int(recogniser.classify(image).argmax()), False

        done += len(images)
        if progress:
            progress(f"reading {source}", done, None)
