"""What the service counts, as Prometheus reads it: requests by endpoint and status, how long they took, and new models.

Used from one thread. Knows nothing of HTTP beyond names and numbers.
"""

from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Mapping

BUCKETS = (
    0.001,
    0.0025,
    0.005,
    0.01,
    0.025,
    0.05,
    0.1,
    0.25,
    0.5,
    1.0,
    2.5,
    5.0,
    10.0,
)  # seconds, upper edges


class Metrics:
    """Counters since the start."""

    def __init__(self) -> None:
        self.requests: Counter[tuple[str, int]] = Counter()
        self.reloads = Counter(loaded=0, refused=0)
        self._within: dict[str, list[int]] = {}
        self._seconds: defaultdict[str, float] = defaultdict(float)

    def count(self, endpoint: str, status: int, seconds: float | None = None) -> None:
        """One request that was answered. seconds: None where it never reached an endpoint."""
        self.requests[endpoint, status] += 1
        if seconds is not None:
            self._within.setdefault(endpoint, [0] * (len(BUCKETS) + 1))[
                bisect_left(BUCKETS, seconds)
            ] += 1
            self._seconds[endpoint] += seconds

    def text(self, gauges: Mapping[str, tuple[str, float]]) -> str:
        """The exposition format, version 0.0.4. gauges: name -> what it is, and its value now."""
        lines = [
            "# HELP inkdigits_requests_total Requests answered.",
            "# TYPE inkdigits_requests_total counter",
        ]
        for (endpoint, status), count in sorted(self.requests.items()):
            lines.append(
                f'inkdigits_requests_total{{endpoint="{endpoint}",status="{status}"}} {count}'
            )
        name = "inkdigits_reloads_total"
        lines += [
            f"# HELP {name} Changes of the model's file: loaded, or refused.",
            f"# TYPE {name} counter",
        ]
        lines += [f'{name}{{result="{result}"}} {count}' for result, count in self.reloads.items()]
        name = "inkdigits_request_seconds"
        lines += [
            f"# HELP {name} Time from a request's head to its answer.",
            f"# TYPE {name} histogram",
        ]
        for endpoint, counts in sorted(self._within.items()):
            total = 0
            for edge, count in zip((*map(str, BUCKETS), "+Inf"), counts, strict=True):
                total += count
                lines.append(f'{name}_bucket{{endpoint="{endpoint}",le="{edge}"}} {total}')
            lines.append(f'{name}_sum{{endpoint="{endpoint}"}} {self._seconds[endpoint]:.6f}')
            lines.append(f'{name}_count{{endpoint="{endpoint}"}} {total}')
        for gauge, (text, value) in gauges.items():
            lines += [
                f"# HELP inkdigits_{gauge} {text}",
                f"# TYPE inkdigits_{gauge} gauge",
                f"inkdigits_{gauge} {value:g}",
            ]
        return "\n".join(lines) + "\n"
