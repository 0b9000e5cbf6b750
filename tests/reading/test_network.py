"""Threads share images in blocks that are alike, fit the cache and are worth waking a thread."""

import os
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from toy_network import by_hand, save_toy_network

from inkdigits.reading.network import LARGEST_BLOCK, SMALLEST_BLOCK, Network, block_size


@pytest.mark.parametrize("threads", [1, 2, 3, 16])
@pytest.mark.parametrize("images", [0, 1, 3, 8, 127, 129, 300, 1024, 10_001])
def test_blocks_are_alike_and_one_for_each_thread(images: int, threads: int) -> None:
    size = block_size(images, threads)

    assert 1 <= size <= LARGEST_BLOCK
    assert size >= min(images, SMALLEST_BLOCK)

    turns = -(-images // (size * threads))

    assert turns * size < images / threads + turns + 1 or size <= SMALLEST_BLOCK, (
        "no thread has much more to do than its share"
    )


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_answers_do_not_depend_on_threads_and_keep_their_places(
    tmp_path: Path, threads: int
) -> None:
    images = np.random.default_rng(0).integers(0, 256, (1500, 28, 28), np.uint8)
    network = Network(save_toy_network(tmp_path / "toy.onnx"), threads)
    for n in (0, 1, 5, 9, 300, 1500):
        answer = network.answer(images[:n])
        assert (answer.shape, answer.dtype) == ((n, 10), np.float32)
        assert np.allclose(answer, by_hand(images[:n]), atol=1e-6)


def test_several_callers_share_its_threads(tmp_path: Path) -> None:
    images = np.random.default_rng(0).integers(0, 256, (700, 28, 28), np.uint8)
    network, answers = Network(save_toy_network(tmp_path / "toy.onnx"), 2), []
    callers = [
        threading.Thread(target=lambda: answers.append(network.answer(images))) for _ in range(8)
    ]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()

    assert len(answers) == 8
    assert all(np.allclose(answer, by_hand(images), atol=1e-6) for answer in answers)


def test_a_failure_on_another_thread_is_not_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    network = Network(save_toy_network(tmp_path / "toy.onnx"), 2)
    begun, run, here = threading.Event(), network._run, threading.current_thread()

    def fails_elsewhere(images: np.ndarray) -> np.ndarray:
        if threading.current_thread() is here:
            begun.wait(10)
            return run(images)
        begun.set()
        raise MemoryError

    monkeypatch.setattr(network, "_run", fails_elsewhere)

    with pytest.raises(MemoryError):
        network.answer(np.zeros((20, 28, 28), np.uint8))


def test_onnx_runtime_tells_nobody_what_it_is_used_for(tmp_path: Path) -> None:
    environment = {**os.environ, "HOME": str(tmp_path)}
    environment.pop("ORT_DISABLE_TELEMETRY", None)
    read = "import inkdigits; inkdigits.read('tests/assets/sample.jpg')"
    root = Path(__file__).parents[2]
    subprocess.run([sys.executable, "-c", read], cwd=root, env=environment, check=True)
    assert not list(tmp_path.rglob("*onnx*")), "it keeps a number of this user, and what to send"
