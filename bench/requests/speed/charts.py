"""The systems side by side, as SVG: pure."""

from collections.abc import Mapping
from typing import Any
from xml.sax.saxutils import escape

_WIDTH, _LABELS, _BAR, _GAP, _HEAD = 760, 210, 16, 6, 34
_ROOM = 90  # for the number behind a bar
_OURS, _THEIRS = "#4477aa", "#bbbbbb"
_FONT = 'font-family="sans-serif" font-size="12"'


def bars(document: Mapping[str, Any]) -> str:
    """A panel for each of the numbers that matter most: CPU, latency, memory and start."""
    systems = document["systems"]
    doors = {
        f"{name}, {door}" if len(system["doors"]) > 1 else name: numbers
        for name, system in systems.items()
        for door, numbers in system["doors"].items()
    }
    panels = [
        ("CPU per request, 16 in flight (ms)", {name: each["in_flight_16"]["cpu_ms"] for name, each in doors.items()}),
        (
            "Added latency, p50, 1 in flight (ms)",
            {name: each["in_flight_1"]["added_p50_ms"] for name, each in doors.items()},
        ),
        (
            "CPU per streamed chunk, 16 streams (µs)",
            {name: each["cpu_per_chunk_us"] for name, each in doors.items() if "cpu_per_chunk_us" in each},
        ),
        ("Resident memory at rest (MiB)", {name: each["rss_rest_mib"] for name, each in systems.items()}),
        ("From start to the first answer (s)", {name: each["ready_s"] for name, each in systems.items()}),
    ]
    parts: list[str] = []
    top = 0
    for title, values in panels:
        parts.append(f'<text x="10" y="{top + 22}" font-size="14" font-weight="bold">{escape(title)}</text>')
        top += _HEAD
        most = max(*values.values(), 1e-9)
        for name, value in values.items():
            length = max(1.0, (_WIDTH - _LABELS - _ROOM) * max(value, 0.0) / most)
            colour = _OURS if name.startswith("Pointsman") else _THEIRS
            parts += [
                f'<text x="{_LABELS - 8}" y="{top + 13}" text-anchor="end">{escape(name)}</text>',
                f'<rect x="{_LABELS}" y="{top}" width="{length:.1f}" height="{_BAR}" fill="{colour}"/>',
                f'<text x="{_LABELS + length + 6:.1f}" y="{top + 13}">{value:.3g}</text>',
            ]
            top += _BAR + _GAP
        top += _GAP
    head = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {top}" {_FONT}>',
        f'<rect width="{_WIDTH}" height="{top}" fill="white"/>',
    ]
    return "\n".join([*head, *parts, "</svg>", ""])
