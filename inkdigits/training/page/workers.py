"""How processes are started that draw pages and take looks: what torch's DataLoader is told."""

import multiprocessing
import os
import sys
from typing import Any

import torch


def worker_options(workers: int, prefetched: int) -> dict[str, Any]:
    """Return the options of a DataLoader for so many worker processes.

    On Linux they are forked, whatever Python's default, so that they share what `prepare` has
    built: half a minute and 130 MB for each of them otherwise. Elsewhere each starts Python anew,
    which then imports nothing from the folder that it is started in, as that may be a stranger's.

    Args:
        workers: how many; 0 does the work in this process.
        prefetched: samples or batches that each does ahead.
    """
    if workers == 0:
        return {"num_workers": 0}

    start_method = "fork" if sys.platform == "linux" else None
    context = multiprocessing.get_context(start_method)
    if context.get_start_method() != "fork":
        os.environ["PYTHONSAFEPATH"] = "1"

    return {
        "num_workers": workers,
        "prefetch_factor": prefetched,
        "worker_init_fn": use_one_thread,
        "multiprocessing_context": context,
    }


def use_one_thread(_: int) -> None:
    """Keep torch to one thread in a worker; DataLoader calls this there with the worker's number.

    A forked process has no threads but its own, and a network on several would wait for ever for
    those that the fork has left behind.
    """
    torch.set_num_threads(1)
