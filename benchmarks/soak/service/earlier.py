"""Compare how many digits a second the service answers with an earlier one, from this history.

Both read the same 28x28 PNG with their own weights of `default`, in turn, on the same processor.
"""

import statistics
import subprocess
from pathlib import Path

from benchmarks.common import spread, table, turns
from benchmarks.soak.frame import Check, Outcome, Trial
from benchmarks.soak.service.faults import slow_reading
from benchmarks.soak.service.harness import Server
from benchmarks.soak.service.load import closed_loop, picture_request, run, unlike
from benchmarks.soak.service.pressure import Loads

# The last one that did not yet count a file's pieces, the bytes of each client and who asks.
EARLIER = "92e8310"
DATE = "November 22, 2026"
CLIENTS = 16  # that wait for their answers
LEAST = 0.95  # of the earlier one's digits a second: medians of two runs were 0.93 and 1.04, n 51


def earlier(trial: Trial) -> Outcome:
    """Count digits a second in turn with the service of November 22, 2026."""
    rounds, seconds = trial.choose((101, 0.5), (5, 0.5))  # short, as machines change their pace
    loads = {"now": Loads(), DATE: Loads()}
    before = Server(Trial(trial.quick, trial.folder))
    before.folder = _earlier_package(trial.folder)
    costs: dict[str, list[float]] = {name: [] for name in loads}
    with Server(trial) as now, before:
        servers = {"now": now, DATE: before}
        for number, name in turns(list(loads), rounds):
            server = servers[name]
            run(closed_loop(server.port, picture_request(), 0.1, CLIENTS))
            begun = server.cpu()
            load = run(closed_loop(server.port, picture_request(), seconds, CLIENTS))
            if number:
                loads[name].append(load)
                costs[name].append(1e6 * (server.cpu() - begun) / len(load.answers))

    pairs = zip(loads["now"].rates(), loads[DATE].rates(), strict=True)
    ratios = [ours / theirs for ours, theirs in pairs]
    failures = [wrong for both in loads.values() for load in both for wrong in unlike(load, 200)]
    if statistics.median(ratios) < LEAST:
        failures.append(f"{statistics.median(ratios):.2f} of the digits a second")

    rows = [(name, *both.row(), spread(costs[name], ".0f")) for name, both in loads.items()]
    details = [
        *table(("service", "requests/s", "p50 ms", "p99 ms", "µs of CPU"), rows),
        "",
        f"{rounds} rounds of {seconds:g} s with {CLIENTS} waiting clients.",
    ]
    return Outcome(
        f"{rounds} rounds",
        f"{spread(ratios, '.2f')} of its digits a second",
        failures,
        "\n".join(details),
    )


def _earlier_package(folder: Path) -> Path:
    """Write the earlier package into a folder.

    Raises:
        RuntimeError: this is no clone of the repository with its history.
    """
    archive = ["git", "archive", "--format=tar", EARLIER, "inkdigits"]
    packed = subprocess.run(archive, capture_output=True, cwd=Path(__file__).parents[3])
    if packed.returncode:
        raise RuntimeError(f"commit {EARLIER} is not here: {packed.stderr.decode().strip()}")

    subprocess.run(["tar", "x", "-C", str(folder)], input=packed.stdout, check=True)
    return folder


CHECKS = (Check(earlier, f"median >= {LEAST:g}", slow_reading),)
