"""The last good snapshot in a file."""

import os
from pathlib import Path

import pytest

from pointsman_sidecar.control.store import SnapshotStore
from support.snapshots import snapshot, update

OLD = update(snapshot(generation=1), version="sha256:old")
NEW = update(snapshot(generation=2), version="sha256:new")


def only_file(folder: Path) -> Path:
    (file,) = folder.iterdir()
    return file


def test_what_is_saved_is_loaded_by_the_next_process(tmp_path: Path) -> None:
    SnapshotStore(tmp_path).save(OLD)
    SnapshotStore(tmp_path).save(NEW)

    assert SnapshotStore(tmp_path).load() == NEW


def test_an_empty_folder_has_no_snapshot(tmp_path: Path) -> None:
    assert SnapshotStore(tmp_path).load() is None
    assert SnapshotStore(tmp_path / "missing").load() is None


def test_a_corrupt_file_is_no_snapshot(tmp_path: Path) -> None:
    store = SnapshotStore(tmp_path)
    store.save(NEW)
    file = only_file(tmp_path)
    file.write_bytes(file.read_bytes()[:-5])

    assert store.load() is None


def test_what_is_cleared_is_gone_and_may_be_cleared_again(tmp_path: Path) -> None:
    store = SnapshotStore(tmp_path)
    store.save(NEW)

    store.clear()
    store.clear()

    assert store.load() is None
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("where", "step"), [(os, "fsync"), (Path, "replace")], ids=["writing", "replacing"])
def test_a_save_that_breaks_off_leaves_the_old_snapshot(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: object, step: str
) -> None:
    store = SnapshotStore(tmp_path)
    store.save(OLD)

    def broken(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(where, step, broken)
    with pytest.raises(OSError, match="No space"):
        store.save(NEW)
    monkeypatch.undo()

    assert store.load() == OLD
    store.save(NEW)
    assert store.load() == NEW


def test_a_folder_that_cannot_be_written_to_is_an_error_and_no_silence(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        SnapshotStore(tmp_path / "missing").save(NEW)
