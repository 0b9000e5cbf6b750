"""Several networks as one: each image goes from one to the next until one of them is sure.

Most digits are plain, and a small network reads those as well as a large one; it also knows which
it does not.
"""

from collections.abc import Sequence

import numpy as np

from inkdigits.core.digits import CLASSES, Pixels
from inkdigits.core.errors import BadModel
from inkdigits.reading.network import Network, Probabilities

# Chosen on MNIST's validation digits: of 0.9, 0.95, 0.98, 0.99 and so on the least at which
# nano+best, tiny+best and nano+tiny+best err no more often than best.
SURE_ENOUGH = 0.99


class Cascade:
    """Answers like a `Network`.

    Args:
        networks: the quickest first. An image is answered by the first that gives a digit the
            probability SURE_ENOUGH, or else by the last.

    Attributes:
        path, metadata: those of the last network, except that `data` names what all have learned
        from.

    Raises:
        BadModel: one network knows a class that another does not.
    """

    def __init__(self, networks: Sequence[Network]) -> None:
        last = networks[-1]
        for network in networks:
            if network.outputs != last.outputs:
                raise BadModel(
                    f"{str(network.path)!r} knows {network.outputs} classes and {str(last.path)!r} "
                    f"{last.outputs}; joined models must know the same"
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
