"""The journal of what a sidecar holds, in a folder that outlives the process."""

import os
from pathlib import Path

_NAME = "quota.journal"
_BOOT = Path("/proc/sys/kernel/random/boot_id")


class JournalFile:
    """One journal. What is written outlives the process and not the machine, so nothing waits for a disk."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / _NAME
        self._file: int | None = None

    def read(self) -> bytes:
        """What the process before wrote; nothing where there is nothing that can be read."""
        try:
            return self._path.read_bytes()
        except OSError:
            return b""

    def write(self, records: bytes, *, whole: bool) -> None:
        """Write to the end, or replace it all: a crash leaves the old journal or the new one.

        Raises:
            OSError: it cannot be written.
        """
        if whole:
            self.close()
            new = self._path.with_suffix(".new")
            self._file = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND | os.O_CLOEXEC, 0o600)
            _all(self._file, records)
            new.replace(self._path)
        elif self._file is not None:
            _all(self._file, records)

    def remove(self) -> None:
        """Have none any more, so that the next process does not believe one that stopped in the middle.

        Raises:
            OSError: it cannot be removed.
        """
        self.close()
        self._path.unlink(missing_ok=True)

    def close(self) -> None:
        """Write no more."""
        if self._file is not None:
            os.close(self._file)
            self._file = None


def boot_id() -> str:
    """Names the machine's boot; empty where it does not say, and then no journal can be believed."""
    try:
        return _BOOT.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError):
        return ""


def _all(file: int, records: bytes) -> None:
    left = memoryview(records)
    while left:
        left = left[os.write(file, left) :]
