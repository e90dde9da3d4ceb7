"""What was measured, as SVG: pure."""

from collections.abc import Callable, Mapping, Sequence
from xml.sax.saxutils import escape

from granting.busy import Point
from pointsman_operator.quotas.pacing import BYTES_PER_SECOND, WRITES_PER_SECOND

_WIDTH = 760
_FONT = 'font-family="sans-serif" font-size="12"'
_BLUE, _RED = "#4477aa", "#cc6677"
_BAR, _GAP, _LABELS, _ROOM = 18, 8, 110, 90
_LEFT, _PLOT, _HIGH, _HEAD = 60, 270, 190, 44
_TICKS = 4


def picture(*, grants: Mapping[str, float], points: Sequence[Point]) -> str:
    """A bar for each store's grants, and what the cluster's own ledger writes by how many sidecars are busy."""
    parts = [*_bars("Grants in a second", grants)]
    top = _HEAD + (len(grants)) * (_BAR + _GAP) + 10
    if points:
        panels: tuple[tuple[str, float, Callable[[Point], float]], ...] = (
            ("ConfigMaps: writes in a second", float(WRITES_PER_SECOND), lambda point: point.writes),
            ("ConfigMaps: KiB in a second", BYTES_PER_SECOND / 1024, lambda point: point.kib),
        )
        for number, (title, bound, value) in enumerate(panels):
            line = [(float(point.busy), value(point)) for point in points]
            parts += _line(title, line, bound=bound, left=_LEFT + number * (_WIDTH // 2), top=top)
        top += _HEAD + _HIGH + 60
    head = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {top}" {_FONT}>',
        f'<rect width="{_WIDTH}" height="{top}" fill="white"/>',
    ]
    return "\n".join([*head, *parts, "</svg>", ""])


def _bars(title: str, values: Mapping[str, float]) -> list[str]:
    parts = [f'<text x="10" y="24" font-size="14" font-weight="bold">{escape(title)}</text>']
    most = max(*values.values(), 1e-9)
    for number, (name, value) in enumerate(values.items()):
        top = _HEAD + number * (_BAR + _GAP)
        length = max(1.0, (_WIDTH - _LABELS - _ROOM) * value / most)
        parts += [
            f'<text x="{_LABELS - 8}" y="{top + 14}" text-anchor="end">{escape(name)}</text>',
            f'<rect x="{_LABELS}" y="{top}" width="{length:.1f}" height="{_BAR}" fill="{_BLUE}"/>',
            f'<text x="{_LABELS + length + 6:.1f}" y="{top + 14}">{value:,.0f}</text>',
        ]
    return parts


def _line(title: str, points: Sequence[tuple[float, float]], *, bound: float, left: int, top: int) -> list[str]:
    """A line through the points from nothing at none, and the bound that it is not to pass."""
    right = max(x for x, _ in points)
    highest = 1.1 * max(bound, *(y for _, y in points))
    ground = top + _HEAD + _HIGH

    def at(x: float, y: float) -> tuple[float, float]:
        return left + _PLOT * x / right, ground - _HIGH * y / highest

    parts = [f'<text x="{left - 50}" y="{top + 20}" font-size="14" font-weight="bold">{escape(title)}</text>']
    for tick in range(_TICKS + 1):
        x, y = at(right * tick / _TICKS, highest * tick / _TICKS)
        parts += [
            f'<line x1="{left}" y1="{y:.1f}" x2="{left + _PLOT}" y2="{y:.1f}" stroke="#ddd"/>',
            f'<text x="{left - 6}" y="{y + 4:.1f}" text-anchor="end">{highest * tick / _TICKS:.0f}</text>',
            f'<text x="{x:.1f}" y="{ground + 18}" text-anchor="middle">{right * tick / _TICKS:,.0f}</text>',
        ]
    _, limit = at(0, bound)
    way = [at(0, 0), *(at(x, y) for x, y in points)]
    across = f'x1="{left}" y1="{limit:.1f}" x2="{left + _PLOT}" y2="{limit:.1f}"'
    along = " ".join(f"{x:.1f},{y:.1f}" for x, y in way)
    return [
        *parts,
        f'<text x="{left + _PLOT / 2}" y="{ground + 36}" text-anchor="middle">busy sidecars</text>',
        f'<line {across} stroke="{_RED}" stroke-width="2" stroke-dasharray="6 4"/>',
        f'<text x="{left + _PLOT}" y="{limit - 5:.1f}" text-anchor="end" fill="{_RED}">at most {bound:.0f}</text>',
        f'<polyline points="{along}" fill="none" stroke="{_BLUE}" stroke-width="2"/>',
        *(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{_BLUE}"/>' for x, y in way[1:]),
    ]
