"""A picture of lines and points, as SVG."""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

_WIDTH, _HEIGHT = 640, 400
_LEFT, _RIGHT, _TOP, _BOTTOM = 64, 24, 36, 52
_COLOURS = ("#1f5fa8", "#c2571a", "#6b7280", "#2e7d4f", "#8a3ffc", "#b8860b")
_TICKS = 5


@dataclass(frozen=True, slots=True)
class Series:
    """A line through points; one point alone is a dot."""

    name: str
    points: Sequence[tuple[float, float]]


def picture(series: Sequence[Series], *, title: str, across: str, up: str) -> str:
    """The picture, as a file."""
    points = [point for each in series for point in each.points]
    left, right = _bounds([x for x, _ in points])
    low, high = _bounds([y for _, y in points])

    def place(x: float, y: float) -> tuple[float, float]:
        return (
            _LEFT + (x - left) / (right - left) * (_WIDTH - _LEFT - _RIGHT),
            _HEIGHT - _BOTTOM - (y - low) / (high - low) * (_HEIGHT - _TOP - _BOTTOM),
        )

    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img">',
        f"<title>{escape(title)}</title>",
        '<g font-family="sans-serif" font-size="12">',
        f'<rect width="{_WIDTH}" height="{_HEIGHT}" fill="#ffffff"/>',
        f'<text x="{_LEFT}" y="20" font-size="14">{escape(title)}</text>',
        f'<text x="{_WIDTH / 2:.0f}" y="{_HEIGHT - 10}" text-anchor="middle">{escape(across)}</text>',
        f'<text transform="translate(14 {_HEIGHT / 2:.0f}) rotate(-90)" text-anchor="middle">{escape(up)}</text>',
    ]
    for step in range(_TICKS + 1):
        x, y = left + (right - left) * step / _TICKS, low + (high - low) * step / _TICKS
        across_at, up_at = place(x, y)
        lines += [
            f'<line x1="{_LEFT}" y1="{up_at:.1f}" x2="{_WIDTH - _RIGHT}" y2="{up_at:.1f}" stroke="#e5e7eb"/>',
            f'<text x="{_LEFT - 6}" y="{up_at + 4:.1f}" text-anchor="end">{y:.3g}</text>',
            f'<text x="{across_at:.1f}" y="{_HEIGHT - _BOTTOM + 16}" text-anchor="middle">{x:.3g}</text>',
        ]
    for index, each in enumerate(series):
        colour = _COLOURS[index % len(_COLOURS)]
        placed = [place(*point) for point in each.points]
        if len(placed) > 1:
            path = " ".join(f"{x:.1f},{y:.1f}" for x, y in placed)
            lines.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
        else:
            lines += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="5" fill="{colour}"/>' for x, y in placed]
        at = _HEIGHT - _BOTTOM - 14 - 16 * (len(series) - 1 - index)
        lines += [
            f'<rect x="{_WIDTH - _RIGHT - 170}" y="{at - 8}" width="10" height="10" fill="{colour}"/>',
            f'<text x="{_WIDTH - _RIGHT - 154}" y="{at + 1}">{escape(each.name)}</text>',
        ]
    return "\n".join([*lines, "</g></svg>", ""])


def _bounds(values: Sequence[float]) -> tuple[float, float]:
    low, high = min(values), max(values)
    return (low, high) if high > low else (low - 0.5, high + 0.5)
