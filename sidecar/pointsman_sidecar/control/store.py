"""The last good snapshot, in a file: what a restarted sidecar begins with.

Holds no credential: those live in memory only.
"""

import os
from pathlib import Path

from google.protobuf.message import DecodeError

from pointsman_api.v1 import control_pb2

_NAME = "snapshot.pb"


class SnapshotStore:
    """One snapshot in a folder that outlives the process."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / _NAME

    def load(self) -> control_pb2.SnapshotUpdate | None:
        """The stored snapshot; None where there is none that can be read."""
        try:
            return control_pb2.SnapshotUpdate.FromString(self._path.read_bytes())
        except (OSError, DecodeError):
            return None

    def save(self, update: control_pb2.SnapshotUpdate) -> None:
        """Replace the stored snapshot: a crash leaves the old one or the new one, never half of either.

        Raises:
            OSError: the folder cannot be written to.
        """
        new = self._path.with_suffix(".new")
        with new.open("wb") as file:
            file.write(update.SerializeToString())
            file.flush()
            os.fsync(file.fileno())
        new.replace(self._path)

    def clear(self) -> None:
        """Forget the stored snapshot."""
        self._path.unlink(missing_ok=True)
