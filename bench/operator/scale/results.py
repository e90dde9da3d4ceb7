"""What was measured, and whether it is what was aimed at: pure."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from measuring.percentiles import percentile


@dataclass(frozen=True, kw_only=True)
class Row:
    """One number. `limit` is what it must stay under, None where nothing was promised."""

    what: str
    value: float
    unit: str
    limit: float | None = None
    beside: str = ""  # what puts it in proportion

    @property
    def met(self) -> bool | None:
        """Whether it is what was aimed at."""
        return None if self.limit is None else self.value < self.limit


@dataclass(kw_only=True)
class Results:
    """All numbers of a run, in the order in which they came."""

    facts: dict[str, Any]
    rows: list[Row] = field(default_factory=list)
    series: dict[str, list[float]] = field(default_factory=dict)

    def add(self, what: str, value: float, unit: str, *, limit: float | None = None, beside: str = "") -> None:
        """Take a number."""
        self.rows.append(Row(what=what, value=value, unit=unit, limit=limit, beside=beside))

    def document(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "facts": self.facts,
            "rows": [{**asdict(row), "met": row.met} for row in self.rows],
            "percentiles": {
                name: [percentile(values, percent) for percent in range(101)] for name, values in self.series.items()
            },
        }


def spread(values: Sequence[float], *, unit: str) -> str:
    """The usual three, in one line."""
    return f"p50 {percentile(values, 50):.3g} {unit}, max {max(values):.3g} {unit}"
