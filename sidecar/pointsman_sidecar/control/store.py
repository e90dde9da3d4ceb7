"""The last good snapshot, and the last tuning, in files: what a restarted sidecar begins with.

Holds no credential: those live in memory only.
"""

import os
from pathlib import Path

from google.protobuf.message import DecodeError

from pointsman_api.v1 import control_pb2, tuning_pb2

_NAME = "snapshot.pb"
_TUNING = "tuning.pb"


class SnapshotStore:
    """One snapshot, and one tuning, in a folder that outlives the process."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / _NAME
        self._tuning = folder / _TUNING

    def load(self) -> control_pb2.SnapshotUpdate | None:
        """The stored snapshot; None where there is none that can be read."""
        try:
            return control_pb2.SnapshotUpdate.FromString(self._path.read_bytes())
        except (OSError, DecodeError):
            return None

    def load_tuning(self) -> tuning_pb2.Tuning | None:
        """The stored tuning; None where there is none that can be read."""
        try:
            return tuning_pb2.Tuning.FromString(self._tuning.read_bytes())
        except (OSError, DecodeError):
            return None

    def save(self, update: control_pb2.SnapshotUpdate) -> None:
        """Replace the stored snapshot.

        Raises:
            OSError: the folder cannot be written to.
        """
        _replace(self._path, update.SerializeToString(), is_durable=True)

    def save_tuning(self, tuning: tuning_pb2.Tuning) -> None:
        """Replace the stored tuning. A machine that breaks down may lose it: there will be another one soon.

        Raises:
            OSError: the folder cannot be written to.
        """
        _replace(self._tuning, tuning.SerializeToString(), is_durable=False)

    def clear(self) -> None:
        """Forget the stored snapshot, and the tuning with it."""
        self._path.unlink(missing_ok=True)
        self._tuning.unlink(missing_ok=True)


def _replace(path: Path, content: bytes, *, is_durable: bool) -> None:
    """Write a file anew: a crash leaves the old one or the new one, never half of either."""
    new = path.with_suffix(".new")
    with new.open("wb") as file:
        file.write(content)
        if is_durable:
            file.flush()
            os.fsync(file.fileno())
    new.replace(path)
