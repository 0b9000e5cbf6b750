"""What `torchrun` tells the processes that it starts, from the environment alone: torch takes seconds to import."""

import os


def place_in_group() -> tuple[int, int]:
    """Our number among the processes of this training, from 0, and how many there are: 0 and 1 unless `torchrun` started us."""
    if "TORCHELASTIC_RUN_ID" not in os.environ:
        return 0, 1
    return int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])


def restarts() -> int:
    """How often `torchrun --max-restarts` has started all of them again, since one was killed or failed."""
    return int(os.environ.get("TORCHELASTIC_RESTART_COUNT", 0))
