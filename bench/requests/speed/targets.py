"""What is aimed at, and whether a run reached it: pure."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

OURS = "Pointsman"
LITELLM, PORTKEY = "LiteLLM proxy", "Portkey gateway"


@dataclass(frozen=True, kw_only=True)
class Target:
    """One number. `limit` must not be passed; `aim` is what we would rather have."""

    what: str
    value: float
    unit: str
    limit: float
    aim: float | None = None

    @property
    def met(self) -> bool:
        """Whether it is what was promised."""
        return self.value <= self.limit

    @property
    def reached(self) -> bool | None:
        """Whether it is what was aimed at."""
        return None if self.aim is None else self.value <= self.aim


def judged(document: Mapping[str, Any]) -> list[Target]:
    """All targets of a run; those that compare with peers only where these were there."""
    return list(_targets(document["systems"]))


def _targets(systems: Mapping[str, Any]) -> Iterator[Target]:
    ours = systems[OURS]
    for door, numbers in ours["doors"].items():
        for key, how in (("in_flight_1", "1 in flight"), ("in_flight_16", "16 in flight")):
            cpu = numbers[key]["cpu_ms"]
            if LITELLM in systems:
                theirs = systems[LITELLM]["doors"]["HTTP"][key]["cpu_ms"]
                yield Target(
                    what=f"CPU per request, {how}, {door}: a sixth of LiteLLM's", value=cpu, unit="ms", limit=theirs / 6
                )
            if PORTKEY in systems:
                theirs = systems[PORTKEY]["doors"]["HTTP"][key]["cpu_ms"]
                yield Target(
                    what=f"CPU per request, {how}, {door}: Portkey's", value=cpu, unit="ms", limit=theirs, aim=1.2
                )
        yield Target(
            what=f"Added p50, 1 in flight, {door}",
            value=numbers["in_flight_1"]["added_p50_ms"],
            unit="ms",
            limit=2.0,
            aim=1.2,
        )
        yield Target(
            what=f"CPU per streamed chunk, 16 streams, {door}",
            value=numbers["cpu_per_chunk_us"],
            unit="µs",
            limit=100.0,
            aim=50.0,
        )
        yield Target(
            what=f"CPU per streamed chunk, one stream alone, {door}",
            value=numbers["cpu_per_chunk_alone_us"],
            unit="µs",
            limit=100.0,
            aim=50.0,
        )
        yield Target(
            what=f"First token delayed, {door}",
            value=numbers["first_token"]["first_token_added_p50_ms"],
            unit="ms",
            limit=2.0,
        )
    yield Target(what="RSS at rest", value=ours["rss_rest_mib"], unit="MiB", limit=90.0, aim=68.0)
    if LITELLM in systems:
        yield Target(
            what="RSS at rest: a third of LiteLLM's",
            value=ours["rss_rest_mib"],
            unit="MiB",
            limit=systems[LITELLM]["rss_rest_mib"] / 3,
        )
    yield Target(what="Time to the first answer", value=ours["ready_s"], unit="s", limit=1.5, aim=0.9)
