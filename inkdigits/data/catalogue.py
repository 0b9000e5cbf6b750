"""The datasets with a name: their files, where these are served, and how to tell the right ones.

Here are only facts, gathered from the publishers and from what TensorFlow Datasets and torchvision
publish about the same files. MNIST is known by its unpacked bytes, as its mirrors pack it
differently. Of the others only the hashes of the packed files are published, so a copy that was
packed anew can be checked by its structure alone.
"""

import math
from dataclasses import dataclass, replace
from typing import Literal

from inkdigits.core.digits import DIGITS


@dataclass(frozen=True)
class File:
    """One file of a dataset.

    Attributes:
        name: its name once unpacked.
        shape: of the array in it.
        sha256: of the unpacked bytes where `of_unpacked`, else of the file as it is served; None
            where it is not published.
        of_unpacked: the hash is that of the unpacked bytes.
        packing: the suffix under which it is served.
        kind: its format.
    """

    name: str
    shape: tuple[int, ...]
    sha256: str | None = None
    of_unpacked: bool = False
    packing: str = ".gz"
    kind: Literal["idx", "libsvm", "numbers"] = "idx"

    @property
    def packed_name(self) -> str:
        """Return the name by which mirrors serve it."""
        return self.name + self.packing

    @property
    def limit(self) -> int:
        """Return the most bytes that the file can have, packed or not."""
        value_bytes = 1
        if self.kind == "libsvm":
            value_bytes = 16
        elif self.kind == "numbers":  # as NumPy writes them by default
            value_bytes = 26
        elif self.name.endswith("-int"):
            value_bytes = 4

        return math.prod(self.shape) * value_bytes + (1 << 20)


@dataclass(frozen=True)
class Archive:
    """A zip file that holds a dataset among others.

    Attributes:
        name: of the file.
        urls: where it is served.
        sha256: of the file.
        nbytes: its size.
        folder: where in it the dataset's packed files are.
    """

    name: str
    urls: tuple[str, ...]
    sha256: str
    nbytes: int
    folder: str


@dataclass(frozen=True)
class Entry:
    """A dataset with a name.

    Attributes:
        name: by which it is asked for.
        description: a line about it.
        licence: of the data.
        files: training images and labels, then test images and labels.
        mirrors: addresses that a file's packed name is appended to.
        archive: the file that holds all, where they are not served one by one.
        source: where people get the files by themselves, as no hash of them is published that would
            tell whether a download is right.
        classes: the labels in words.
        balanced: every class has the same number of images, in training and in test.
        made_from: the dataset that it is computed from, and whose files it needs.
    """

    name: str
    description: str
    licence: str
    files: tuple[File, ...] = ()
    mirrors: tuple[str, ...] = ()
    archive: Archive | None = None
    source: str | None = None
    classes: tuple[str, ...] = DIGITS
    balanced: bool = False
    made_from: str | None = None

    @property
    def folder(self) -> str:
        """Return the name of its folder in the folder of all datasets."""
        return self.made_from or self.name


def _like_mnist(*hashes: str, of_unpacked: bool = False) -> tuple[File, ...]:
    """Return four files with MNIST's names and shapes, and these hashes."""
    names = (
        "train-images-idx3-ubyte",
        "train-labels-idx1-ubyte",
        "t10k-images-idx3-ubyte",
        "t10k-labels-idx1-ubyte",
    )
    shapes = ((60_000, 28, 28), (60_000,), (10_000, 28, 28), (10_000,))
    return tuple(
        File(name, shape, sha256, of_unpacked)
        for name, shape, sha256 in zip(names, shapes, hashes, strict=True)
    )


def _numbers(name: str, *shape: int) -> File:
    """Return a file of numbers with spaces between them."""
    return File(name, shape, packing="", kind="numbers")


def _usps(name: str, count: int, sha256: str) -> File:
    """Return a file of USPS, whose rows have a label and 16x16 pixels."""
    return File(name, (count, 1 + 16 * 16), sha256, packing=".bz2", kind="libsvm")


_ENTRIES = (
    Entry(
        "mnist",
        "handwritten digits of census employees and pupils: 60,000 to learn from, 10,000 to test "
        "(LeCun, Cortes, Burges 1998)",
        "CC BY-SA 3.0",
        _like_mnist(
            "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
            "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
            "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
            "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
            of_unpacked=True,
        ),
        (
            "https://ossci-datasets.s3.amazonaws.com/mnist/",  # torchvision's
            "https://storage.googleapis.com/cvdf-datasets/mnist/",  # TensorFlow Datasets'
            "https://raw.githubusercontent.com/fgnt/mnist/master/",  # MLX's
            "https://cdn.jsdelivr.net/gh/fgnt/mnist/",  # the same, where GitHub is blocked
        ),
    ),
    Entry(
        "fashion-mnist",
        "ten kinds of clothes in MNIST's format (Xiao, Rasul, Vollgraf 2017)",
        "MIT",
        _like_mnist(
            "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
            "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
            "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
            "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
        ),
        (
            "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/",
            "https://fashion-mnist.s3.eu-central-1.amazonaws.com/",
            "https://storage.googleapis.com/tensorflow/tf-keras-datasets/",
        ),
        classes=(
            "T-shirt/top",
            "Trouser",
            "Pullover",
            "Dress",
            "Coat",
            "Sandal",
            "Shirt",
            "Sneaker",
            "Bag",
            "Ankle boot",
        ),
        balanced=True,
    ),
    Entry(
        "kmnist",
        "ten cursive Japanese characters in MNIST's format (Clanuwat et al. 2018)",
        "CC BY-SA 4.0",
        _like_mnist(
            "51467d22d8cc72929e2a028a0428f2086b092bb31cfb79c69cc0a90ce135fde4",
            "e38f9ebcd0f3ebcdec7fc8eabdcdaef93bb0df8ea12bee65224341c8183d8e17",
            "edd7a857845ad6bb1d0ba43fe7e794d164fe2dce499a1694695a792adfac43c5",
            "20bb9a0ef54c7db3efc55a92eef5582c109615df22683c380526788f98e42a1c",
        ),
        (
            "https://codh.rois.ac.jp/kmnist/dataset/kmnist/",
            "https://web.archive.org/web/2020id_/http://codh.rois.ac.jp/kmnist/dataset/kmnist/",
        ),
        classes=("o", "ki", "su", "tsu", "na", "ha", "ma", "ya", "re", "wo"),
        balanced=True,
    ),
    Entry(
        "qmnist",
        "MNIST made again from its sources, with the 50,000 test digits that it left out "
        "(Yadav, Bottou 2019)",
        "BSD",
        (
            File(
                "qmnist-train-images-idx3-ubyte",
                (60_000, 28, 28),
                "9e26a7bf1683614e065d7b76460ccd52807165b3f22561fb782bd9f38c52b51d",
            ),
            File(
                "qmnist-train-labels-idx2-int",
                (60_000, 8),
                "2c05dc77f6b916b38e455e97ab129a42a444f3dbef09b278a366f82904e0dd9f",
            ),
            File(
                "qmnist-test-images-idx3-ubyte",
                (60_000, 28, 28),
                "43fc22bf7498b8fc98de98369d72f752d0deabc280a43a7bcc364ab19e57b375",
            ),
            File(
                "qmnist-test-labels-idx2-int",
                (60_000, 8),
                "9fbcbe594c3766fdf4f0b15c5165dc0d1e57ac604e01422608bb72c906030d06",
            ),
        ),
        (
            "https://raw.githubusercontent.com/facebookresearch/qmnist/master/",
            "https://cdn.jsdelivr.net/gh/facebookresearch/qmnist@master/",
        ),
    ),
    Entry(
        "emnist-digits",
        "280,000 digits of NIST's Special Database 19, with MNIST's geometry (Cohen et al. 2017)",
        "no licence stated; data of the US government",
        (
            File("emnist-digits-train-images-idx3-ubyte", (240_000, 28, 28)),
            File("emnist-digits-train-labels-idx1-ubyte", (240_000,)),
            File("emnist-digits-test-images-idx3-ubyte", (40_000, 28, 28)),
            File("emnist-digits-test-labels-idx1-ubyte", (40_000,)),
        ),
        archive=Archive(
            "gzip.zip",
            (
                "https://biometrics.nist.gov/cs_links/EMNIST/gzip.zip",
                "https://www.itl.nist.gov/iaui/vip/cs_links/EMNIST/gzip.zip",
            ),
            "fb9bb67e33772a9cc0b895e4ecf36d2cf35be8b709693c3564cea2a019fcda8e",
            561_753_746,
            "gzip/",
        ),
        balanced=True,
    ),
    Entry(
        "usps",
        "9,298 digits from envelopes, 16x16, brought to MNIST's geometry "
        "(Hull 1994; LIBSVM's copy)",
        "no licence stated",
        (
            _usps(
                "usps", 7_291, "3771e9dd6ba685185f89867b6e249233dd74652389f263963b3b741e994b034f"
            ),
            _usps(
                "usps.t", 2_007, "a9c0164e797d60142a50604917f0baa604f326e9a689698763793fa5d12ffc4e"
            ),
        ),
        (
            "https://www.csie.ntu.edu.tw/~cjlin/libsvmtools/datasets/multiclass/",
            "https://web.archive.org/web/2020id_/"
            "https://www.csie.ntu.edu.tw/~cjlin/libsvmtools/datasets/multiclass/",
        ),
    ),
    Entry(
        "semeion",
        "1,593 digits of about 80 people, black and white, 16x16, brought to MNIST's geometry "
        "(Buscema 1998)",
        "CC BY 4.0",
        (_numbers("semeion.data", 1593, 256 + 10),),
        source="https://archive.ics.uci.edu/dataset/178/semeion+handwritten+digit",
    ),
    Entry(
        "ardis",
        "7,600 digits of Swedish priests, from parish registers of 1895 to 1970 "
        "(Kusetogullari et al. 2019)",
        "no licence stated",
        (
            _numbers("ARDIS_train_2828.csv", 6600, 784),
            _numbers("ARDIS_train_labels.csv", 6600, 10),
            _numbers("ARDIS_test_2828.csv", 1000, 784),
            _numbers("ARDIS_test_labels.csv", 1000, 10),
        ),
        source="https://ardisdataset.github.io/ARDIS/ (dataset IV)",
    ),
    Entry(
        "optdigits",
        "1,797 digits of 13 people, 8x8, brought to MNIST's geometry; scikit-learn carries them "
        "(Alpaydin, Kaynak 1998)",
        "CC BY 4.0",
    ),
)

_HANDWRITING = replace(
    _ENTRIES[0],
    name="handwriting",
    description="MNIST through other people's pens, scanners and cameras, and things that are no "
    "digits; made from it in minutes",
    classes=(*DIGITS, "not a digit"),
    made_from="mnist",
)

_MNIST_WRITERS = replace(
    _ENTRIES[0],
    name="mnist-writers",
    description="MNIST, with validation digits of people who wrote none of the training digits; "
    "QMNIST's labels name them",
    made_from="mnist",
)

_MADE = (_HANDWRITING, _MNIST_WRITERS)
DATASETS = {entry.name: entry for entry in (*_ENTRIES[:-1], *_MADE, _ENTRIES[-1])}

# The indexes, from 0, of MNIST's test digits whose label lost a vote of people who looked at them.
# Source: Northcutt, Athalye & Mueller 2021, "Pervasive label errors in test sets
# destabilize machine learning benchmarks" (arXiv 2103.14749).
MISLABELLED = (
    947,
    1621,
    1901,
    2130,
    2462,
    2597,
    2654,
    3520,
    3558,
    5937,
    6651,
    6783,
    8527,
    9679,
    9729,
)
