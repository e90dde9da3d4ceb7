"""What a node leaves on the machine if nobody takes it down, and its removal.

Every process, mount and network device of a node lives in namespaces that end with one process, its holder. So all
there is to remove is that process, the node's cgroups and its data; where they are stands in a record, a file that
the run which started the node keeps locked. A record that nobody locks is of a run that was killed.

Run as a program with the name of a record, this waits for the end of its input, which is the end of the run that
started it however that ends, and then removes what is left. It imports nothing but the standard library: it must
outlive the run, whatever becomes of its environment.
"""

import fcntl
import json
import os
import shutil
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO

CGROUPS = Path("/sys/fs/cgroup")
GONE_SECONDS = 20
PAUSE = 0.05


@dataclass(frozen=True, kw_only=True)
class Residue:
    """One node's, as its record has it."""

    name: str
    data: str
    holder: int
    holder_started: int
    """When the kernel started it: a pid may be somebody else's by now."""


@contextmanager
def recorded(residue: Residue, *, record: Path) -> Iterator[None]:
    """Keep a record, locked, and remove the residue at the end."""
    with record.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        json.dump(asdict(residue), file)
        file.flush()
        try:
            yield
        finally:
            _remove(file, record)


def remove_left_behind(records: Path) -> list[str]:
    """Remove what killed runs left, and return the names of their nodes."""
    removed = []
    for record in sorted(records.glob("*.json")):
        with suppress(FileNotFoundError), record.open("r+") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue  # its run still runs
            _remove(file, record)
            removed.append(record.stem)
    return removed


def cgroups_of(name: str) -> list[Path]:
    """The node's cgroup in each hierarchy: one in version 2, one for each controller in version 1."""
    parents = [CGROUPS] if (CGROUPS / "cgroup.procs").is_file() else sorted(CGROUPS.glob("*/"))
    return [parent / name for parent in parents if (parent / "cgroup.procs").is_file()]


def started(pid: int) -> int | None:
    """When the kernel started this process, in its own ticks; None if there is no such process."""
    try:
        # The name, in parentheses, may hold anything; the start is the 20th field after it.
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] in "ZX" else int(fields[19])


def _remove(file: IO[str], record: Path) -> None:
    if not record.exists():
        return  # whoever held the lock before has done it
    with suppress(FileNotFoundError):
        text = Path(f"/proc/self/fd/{file.fileno()}").read_text()
        if text:
            _remove_all(Residue(**json.loads(text)))
        record.unlink()


def _remove_all(residue: Residue) -> None:
    deadline = time.monotonic() + GONE_SECONDS
    if started(residue.holder) == residue.holder_started:
        with suppress(ProcessLookupError):
            os.kill(residue.holder, signal.SIGKILL)
    for cgroup in cgroups_of(residue.name):
        while cgroup.is_dir() and time.monotonic() < deadline:  # busy until the last process is gone
            for folder, _, _ in os.walk(cgroup, topdown=False):
                with suppress(OSError):
                    Path(folder).rmdir()
            time.sleep(PAUSE if cgroup.is_dir() else 0)
    while Path(residue.data).is_dir() and time.monotonic() < deadline:
        shutil.rmtree(residue.data, ignore_errors=True)  # again if a dying process still wrote


def main() -> None:
    """Wait for the end of the run, then remove what it left."""
    record = Path(sys.argv[1])
    sys.stdin.read()
    with suppress(FileNotFoundError), record.open("r+") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        _remove(file, record)


if __name__ == "__main__":
    main()
