"""What was measured of each system: pure."""

from dataclasses import dataclass, field
from typing import Any

from measuring.percentiles import percentile

FLOOR = "floor"
BARE = "Bare relay"


@dataclass(kw_only=True)
class Way:
    """A way to a model: straight to it, or through a door of a system. Samples are kept by what was measured."""

    system: str
    door: str
    latencies: dict[str, list[float]] = field(default_factory=dict)
    firsts: dict[str, list[float]] = field(default_factory=dict)
    cpu: dict[str, float] = field(default_factory=dict)
    requests: dict[str, int] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    chunks: dict[str, int] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """What a table calls it."""
        return f"{self.system}, {self.door}" if self.door else self.system


@dataclass(kw_only=True)
class Start:
    """The starts of a system: seconds until the first answer, and MiB at rest after it; MiB at most under load."""

    ready: list[float] = field(default_factory=list)
    rest: list[float] = field(default_factory=list)
    loaded: float = 0.0


@dataclass(kw_only=True)
class Results:
    """All of a run."""

    facts: dict[str, Any]
    ways: list[Way] = field(default_factory=list)
    starts: dict[str, Start] = field(default_factory=dict)

    def document(self) -> dict[str, Any]:
        """As JSON: numbers, and no samples."""
        floor = next(way for way in self.ways if way.system == FLOOR)
        return {
            "facts": self.facts,
            "floor": {key: {"p50_ms": percentile(floor.latencies[key], 50)} for key in floor.latencies},
            "systems": {
                name: {
                    "ready_s": percentile(start.ready, 50),
                    "rss_rest_mib": percentile(start.rest, 50),
                    "rss_loaded_mib": start.loaded,
                    "doors": {way.door: _numbers(way, floor) for way in self.ways if way.system == name},
                }
                for name, start in self.starts.items()
            },
        }


def _numbers(way: Way, floor: Way) -> dict[str, Any]:
    numbers: dict[str, Any] = {}
    if way.failed:
        numbers["failed"] = way.failed
    for key, latencies in way.latencies.items():
        numbers[key] = {
            "added_p50_ms": percentile(latencies, 50) - percentile(floor.latencies[key], 50),
            "added_p99_ms": percentile(latencies, 99) - percentile(floor.latencies[key], 99),
            "requests_per_s": way.requests[key] / way.seconds[key],
            "cpu_ms": way.cpu[key] / way.requests[key] * 1000,
        }
        if way.firsts.get(key):
            numbers[key]["first_token_added_p50_ms"] = percentile(way.firsts[key], 50) - percentile(
                floor.firsts[key], 50
            )
    for suffix in ("", "_alone"):
        short, long = f"short_streams{suffix}", f"long_streams{suffix}"
        if short in numbers and long in numbers:
            # What the streams cost beyond their chunks is in both.
            more = way.chunks[long] / way.requests[long] - way.chunks[short] / way.requests[short]
            numbers[f"cpu_per_chunk{suffix}_us"] = (numbers[long]["cpu_ms"] - numbers[short]["cpu_ms"]) / more * 1000
    return numbers
