"""A shipped network on OpenVINO, the extra `openvino`: images come in, its outputs go out.

In eight bits it reads many images faster than ONNX Runtime does. Few still go to ONNX Runtime,
which answers them sooner. What is not shipped is refused: OpenVINO is not shown what a stranger
made.
"""

import threading
from pathlib import Path
from typing import Any

import numpy as np

from inkdigits.core.digits import SIDE, Pixels
from inkdigits.core.errors import BadModel, needs_extra
from inkdigits.reading.network import LARGEST_BLOCK, Network, Probabilities, processors

MANY = 8 * LARGEST_BLOCK  # images of one call from which OpenVINO reads them


class OpenvinoNetwork(Network):
    """One shipped .onnx file, loaded once. Several threads may call it at a time.

    Args:
        path: of the file.
        threads: how many one call may use, 1 or more.

    Raises:
        BadModel: the file is not a shipped one.
        MissingExtra: OpenVINO is not installed.
    """

    def __init__(self, path: Path, threads: int) -> None:
        super().__init__(path, threads)
        if not self._is_shipped:
            raise BadModel(
                f"the backend openvino takes shipped models only, not {str(path)!r}; "
                "expected the backend onnxruntime"
            )

        with needs_extra("the backend openvino", "openvino"):
            import openvino

        model = openvino.Core().read_model(self.onnx)
        model.reshape([LARGEST_BLOCK, SIDE, SIDE])  # a fixed size is faster than any
        settings = {
            "INFERENCE_NUM_THREADS": processors(),
            "NUM_STREAMS": processors(),  # one thread each, whoever calls
            "INFERENCE_PRECISION_HINT": "f32",  # or else bfloat16, where the processor has it
            "ENABLE_CPU_PINNING": False,
        }
        self._compiled = openvino.compile_model(model, "CPU", settings)
        self._of_thread = threading.local()

    def answer(self, images: Pixels) -> Probabilities:
        """Return the network's outputs for images: (N, 28, 28) uint8 -> (N, outputs) float32."""
        if len(images) < MANY:
            return super().answer(images)

        beyond = -len(images) % LARGEST_BLOCK
        whole = np.pad(images, ((0, beyond), (0, 0), (0, 0)))
        return self._in_blocks(whole, LARGEST_BLOCK, self._infer)[: len(images)]

    def _infer(self, block: Pixels) -> Probabilities:
        """Return the outputs for a whole block, in memory that the thread's next block reuses."""
        request = self._request()
        request.infer({0: block}, share_inputs=True)
        answers: Probabilities = request.get_output_tensor().data
        return answers

    def _request(self) -> Any:
        """Return the request of this thread, which does one thing at a time."""
        if not hasattr(self._of_thread, "request"):
            self._of_thread.request = self._compiled.create_infer_request()

        return self._of_thread.request
