"""The purse of a process: with the machine's clock and boot, and a journal where a folder outlives the process."""

import secrets
import time
from pathlib import Path

import structlog

from pointsman_sidecar.spending.journal_file import JournalFile, boot_id
from pointsman_sidecar.spending.purse import Purse


def open_purse(folder: Path | None, *, log: structlog.stdlib.BoundLogger) -> Purse:
    """A purse that goes on with what the process before held, as far as the folder's journal says so."""
    began = time.time() - time.monotonic()
    return Purse(
        clock=lambda: began + time.monotonic(),
        incarnation=lambda: secrets.token_hex(8),
        boot=boot_id(),
        journal=None if folder is None else JournalFile(folder),
        log=log,
    )
