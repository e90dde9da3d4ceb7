"""How long it took how many, as SVG: pure."""

from collections.abc import Mapping, Sequence
from xml.sax.saxutils import escape

from measuring.percentiles import percentile

_WIDTH, _HEIGHT = 720, 320
_LEFT, _RIGHT, _TOP, _BOTTOM = 60, 130, 40, 45
_COLOURS = ("#4477aa", "#cc6677", "#228833")
_FONT = 'font-family="sans-serif" font-size="12"'
_STEPS = 100
_TICKS = 5


def distribution(series: Mapping[str, Sequence[float]], *, title: str, unit: str) -> str:
    """For each series a line: the share of it that took no longer than so much."""
    longest = max(max(values) for values in series.values())
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" {_FONT}>',
        f'<rect width="{_WIDTH}" height="{_HEIGHT}" fill="white"/>',
        f'<text x="{_LEFT}" y="22" font-size="15">{escape(title)}</text>',
    ]
    for step in range(_TICKS + 1):
        value, share = longest * step / _TICKS, step / _TICKS
        x, y = _x(value, longest), _y(share)
        parts += [
            f'<line x1="{x:.1f}" y1="{_TOP}" x2="{x:.1f}" y2="{_y(0):.1f}" stroke="#ddd"/>',
            f'<text x="{x:.1f}" y="{_y(0) + 18:.1f}" text-anchor="middle">{value:.3g} {unit}</text>',
            f'<line x1="{_LEFT}" y1="{y:.1f}" x2="{_WIDTH - _RIGHT}" y2="{y:.1f}" stroke="#ddd"/>',
            f'<text x="{_LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{share:.0%}</text>',
        ]
    for (name, values), colour in zip(series.items(), _COLOURS, strict=False):
        points = [
            (_x(percentile(values, 100 * step / _STEPS), longest), _y(step / _STEPS)) for step in range(_STEPS + 1)
        ]
        line = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        at = _TOP + 14 + 18 * list(series).index(name)
        parts += [
            f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="2"/>',
            f'<text x="{_WIDTH - _RIGHT + 12}" y="{at}" fill="{colour}">{escape(name)}</text>',
        ]
    return "\n".join([*parts, "</svg>", ""])


def _x(value: float, longest: float) -> float:
    return _LEFT + (_WIDTH - _LEFT - _RIGHT) * value / longest


def _y(share: float) -> float:
    return _TOP + (_HEIGHT - _TOP - _BOTTOM) * (1 - share)
