"""Counters: requests by endpoint and status, how long they took, and changes of the model.

Names and numbers come in, from one thread; text in Prometheus' format goes out.
"""

from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping

# Seconds, the upper edges of the histogram's buckets.
BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class Metrics:
    """The counters since the start."""

    def __init__(self) -> None:
        self.requests: Counter[tuple[str, int]] = Counter()
        self.reloads = Counter(loaded=0, refused=0)
        self._buckets: dict[str, list[int]] = {}
        self._seconds: defaultdict[str, float] = defaultdict(float)

    def count(self, endpoint: str, status: int, seconds: float | None = None) -> None:
        """Count a request that was answered.

        Args:
            endpoint: the name of the endpoint, or "none".
            status: that of the response.
            seconds: how long it took; None where the request never reached an endpoint.
        """
        self.requests[endpoint, status] += 1
        if seconds is not None:
            counts = self._buckets.setdefault(endpoint, [0] * (len(BUCKETS) + 1))
            counts[bisect_left(BUCKETS, seconds)] += 1
            self._seconds[endpoint] += seconds

    def text(self, gauges: Mapping[str, tuple[str, float]]) -> str:
        """Format all counters in Prometheus' text format, version 0.0.4.

        Args:
            gauges: other figures by name: what each one is, and its value now.
        """
        lines = [*self._counters(), *self._histograms()]
        for name, (text, value) in gauges.items():
            lines += _head(f"inkdigits_{name}", "gauge", text)
            lines.append(f"inkdigits_{name} {value:g}")

        return "\n".join([*lines, ""])

    def _counters(self) -> Iterator[str]:
        """Yield the lines that count requests and new models."""
        name = "inkdigits_requests_total"
        yield from _head(name, "counter", "Requests answered.")
        for (endpoint, status), count in sorted(self.requests.items()):
            yield f'{name}{{endpoint="{endpoint}",status="{status}"}} {count}'

        name = "inkdigits_reloads_total"
        yield from _head(name, "counter", "Changes of the model's file: loaded, or refused.")
        for result, count in self.reloads.items():
            yield f'{name}{{result="{result}"}} {count}'

    def _histograms(self) -> Iterator[str]:
        """Yield the lines that say how long requests took, a histogram for each endpoint."""
        name = "inkdigits_request_seconds"
        yield from _head(name, "histogram", "Time from a request's head to its answer.")
        for endpoint, counts in sorted(self._buckets.items()):
            total = 0
            for edge, count in zip((*BUCKETS, "+Inf"), counts, strict=True):
                total += count
                yield f'{name}_bucket{{endpoint="{endpoint}",le="{edge}"}} {total}'

            yield f'{name}_sum{{endpoint="{endpoint}"}} {self._seconds[endpoint]:.6f}'
            yield f'{name}_count{{endpoint="{endpoint}"}} {total}'


def _head(name: str, kind: str, text: str) -> tuple[str, str]:
    """Return the two lines that stand above a metric."""
    return f"# HELP {name} {text}", f"# TYPE {name} {kind}"
