"""The page reader's two networks on ONNX Runtime: uint8 pixels come in, their outputs go out."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnxruntime

from inkdigits.core.errors import BadModel
from inkdigits.reading.model_files import WEIGHTS
from inkdigits.reading.page.maps import Floats, Pixels

FOLDER = WEIGHTS / "page"
PAGE_FILE = "page.onnx"
LOOK_FILE = "look.onnx"


class PixelNetwork:
    """One .onnx file that takes uint8 pixels. Several threads may call it at a time.

    Args:
        path: of the file.
        threads: how many one call may use.

    Raises:
        BadModel: the file cannot be loaded.
    """

    def __init__(self, path: Path, threads: int = 1) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 3  # errors only; they arrive as exceptions too
        # Pictures of any size come in: memory kept for the next one would fit none (a crowded page
        # takes 135 MB so, and 158 MB with ONNX Runtime's arena; it is no slower).
        options.enable_cpu_mem_arena = False
        options.enable_mem_pattern = False
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        try:
            self._session = onnxruntime.InferenceSession(
                path.read_bytes(),
                options,
                providers=["CPUExecutionProvider"],
            )
        except Exception as error:  # ONNX Runtime has many classes of errors for damaged files
            raise BadModel(f"{str(path)!r} is damaged or not an ONNX model: {error}") from error

        self._inputs = [given.name for given in self._session.get_inputs()]

    def __call__(self, pictures: Pixels, *others: Floats) -> Sequence[Floats]:
        """Return the outputs for a batch.

        Args:
            pictures: uint8 (N, C, H, W): the 3 colours of a picture, or the 6 planes of a look.
            others: what else the network takes, float32 (N, ...) each.
        """
        arrays = map(np.ascontiguousarray, (pictures, *others))
        return self._session.run(None, dict(zip(self._inputs, arrays, strict=True)))
