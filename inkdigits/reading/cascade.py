"""Several networks as one, the quickest first: what it is not sure of goes on to the next, and the last has the last word.

Most digits are plain, and a small network reads them as a large one does; it also knows which it does not.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from inkdigits.core.digits import CLASSES
from inkdigits.core.errors import BadModel
from inkdigits.reading.network import Network

# Chosen on MNIST's validation digits: of 0.9, 0.95, 0.98, 0.99 and so on the least at which nano+best, tiny+best and
# nano+tiny+best err no more often than best.
SURE_ENOUGH = 0.99


class Cascade:
    """Answers like a `Network`: each image by the first of several that gives a digit the probability SURE_ENOUGH, or by the last.

    path, metadata: those of the last, but for the data that all have learned from. Raises BadModel where one knows a class that
    another does not.
    """

    def __init__(self, networks: Sequence[Network]) -> None:
        self.networks, last = tuple(networks), networks[-1]
        self.path, self.outputs = last.path, last.outputs
        learned = dict.fromkeys(network.metadata.get("data", "") for network in networks)
        self.metadata = last.metadata | {"data": "+".join(filter(None, learned))}
        for network in self.networks:
            if network.outputs != self.outputs:
                raise BadModel(
                    f"{str(network.path)!r} knows {network.outputs} classes and {str(last.path)!r} {last.outputs}; "
                    "models can be joined where they know the same"
                )

    @property
    def onnx(self) -> bytes:
        """Raises BadModel: there is no one file."""
        raise BadModel("this model is several networks; one is wanted here")

    def answer(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """What they say of each image: (N, 28, 28) uint8 -> (N, outputs) float32."""
        first, *others = self.networks
        said = first.answer(images)
        doubtful = np.arange(len(images))
        for network in others:
            doubtful = doubtful[said[doubtful, :CLASSES].max(axis=1, initial=0) < SURE_ENOUGH]
            said[doubtful] = network.answer(images[doubtful])
        return said
