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
SWITCH = "fine"  # input of the page network: whether the maps of symbols are wanted


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
        options.enable_mem_pattern = False  # pictures of any size come in
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        try:
            self._session = onnxruntime.InferenceSession(
                path.read_bytes(),
                options,
                providers=["CPUExecutionProvider"],
            )
        except Exception as error:  # ONNX Runtime has many classes of errors for damaged files
            raise BadModel(f"{str(path)!r} is damaged or not an ONNX model: {error}") from error

        # Memory that is kept for the next picture would not fit it. A crowded page takes 163 MB so,
        # and 176 MB without ONNX Runtime's arena, which in a service takes 1.3 times as long.
        self._run_options = onnxruntime.RunOptions()
        self._run_options.add_run_config_entry("memory.enable_memory_arena_shrinkage", "cpu:0")

        inputs = [given.name for given in self._session.get_inputs()]
        self._has_switch = SWITCH in inputs
        self._inputs = [name for name in inputs if name != SWITCH]

    def __call__(self, pictures: Pixels, *others: Floats, fine: bool = True) -> Sequence[Floats]:
        """Return the outputs for a batch.

        Args:
            pictures: uint8 (N, C, H, W): the 3 colours of a picture, or the 6 planes of a look.
            others: what else the network takes, float32 (N, ...) each.
            fine: whether the page network's maps of symbols are wanted; without they are empty.
        """
        arrays = map(np.ascontiguousarray, (pictures, *others))
        given = dict(zip(self._inputs, arrays, strict=True))
        if self._has_switch:
            given[SWITCH] = np.array(fine, np.uint8)
        return self._session.run(None, given, self._run_options)
