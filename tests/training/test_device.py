"""What the system refuses a training is said in a sentence."""

import pytest
import torch

from inkdigits.core.errors import InkdigitsError
from inkdigits.training.device import name_lack_of_memory


def ask_for_all_memory() -> None:
    torch.empty(1 << 60, dtype=torch.uint8)


def test_a_lack_of_memory_is_named() -> None:
    with (
        pytest.raises(InkdigitsError, match="there is not enough memory for this training"),
        name_lack_of_memory(),
    ):
        ask_for_all_memory()


def test_other_errors_stay_as_they_are() -> None:
    with pytest.raises(RuntimeError, match="another problem"), name_lack_of_memory():
        raise RuntimeError("another problem")
