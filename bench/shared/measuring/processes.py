"""What Linux says of a process."""

import os
from dataclasses import dataclass
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, kw_only=True)
class Usage:
    """Processor time so far in seconds; memory in MiB, now and at most."""

    cpu: float
    rss: float
    peak: float


def usage(pid: int) -> Usage:
    """What a process has used."""
    folder = Path("/proc") / str(pid)
    # After the command's name, which may hold anything but ends with the last parenthesis.
    fields = (folder / "stat").read_text().rpartition(")")[2].split()
    status = dict(line.split(":", 1) for line in (folder / "status").read_text().splitlines())
    return Usage(
        cpu=(int(fields[11]) + int(fields[12])) / _TICKS,
        rss=_mebibytes(status["VmRSS"]),
        peak=_mebibytes(status["VmHWM"]),
    )


def _mebibytes(text: str) -> float:
    return int(text.split(maxsplit=1)[0]) / 1024
