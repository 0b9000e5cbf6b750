"""Several networks as one: each image goes from one to the next until one of them is sure.

Most digits are easy: a small network reads them as well as a large one, and its confidence tells
which ones are not.
"""

from collections.abc import Sequence

import numpy as np

from inkdigits.core.digits import CLASSES, Pixels
from inkdigits.core.errors import BadModel
from inkdigits.reading.network import Network, Probabilities

# Chosen on MNIST's validation digits: the smallest of 0.9, 0.95, 0.98, 0.99 and so on with which
# nano+best, tiny+best and nano+tiny+best make no more errors than best.
SURE_ENOUGH = 0.99


class Cascade:
    """A chain of networks that answers like a single `Network`.

    Args:
        networks: the fastest first. Each image gets the answer of the first network that gives
            some digit at least the probability SURE_ENOUGH, or else that of the last network.

    Attributes:
        path: that of the last network.
        outputs: the number of classes, the same for all networks.
        metadata: that of the last network, except that `data` names the datasets of all networks.

    Raises:
        BadModel: the networks do not all have the same classes.
    """

    def __init__(self, networks: Sequence[Network]) -> None:
        last = networks[-1]
        for network in networks:
            if network.outputs != last.outputs:
                raise BadModel(
                    f"{str(network.path)!r} has {network.outputs} classes and {str(last.path)!r} "
                    f"has {last.outputs}; models that are joined must have the same classes"
                )

        datasets = dict.fromkeys(network.metadata.get("data", "") for network in networks)
        self.networks = tuple(networks)
        self.path = last.path
        self.outputs = last.outputs
        self.metadata = last.metadata | {"data": "+".join(filter(None, datasets))}

    @property
    def onnx(self) -> bytes:
        """Raises BadModel: a cascade is several files."""
        raise BadModel("this model consists of several networks; expected one")

    def answer(self, images: Pixels) -> Probabilities:
        """Return the outputs for images: (N, 28, 28) uint8 -> (N, outputs) float32."""
        first, *others = self.networks
        answers = first.answer(images)
        doubtful = np.arange(len(images))
        for network in others:
            sureness = answers[doubtful, :CLASSES].max(axis=1, initial=0)
            doubtful = doubtful[sureness < SURE_ENOUGH]
            answers[doubtful] = network.answer(images[doubtful])

        return answers
