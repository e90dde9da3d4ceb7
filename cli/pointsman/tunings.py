"""What is tuned by `pointsman run`: kept in a folder that outlives the process, or in memory."""

import json
import os
from collections.abc import Mapping
from pathlib import Path

import structlog

from pointsman_operator.tuning import Record, TuningUnavailableError
from pointsman_operator.tuning.records import UnreadableRecordError, decode, encode

log = structlog.get_logger(__name__)

_FILE = "tuning.json"


class FileTunings:
    """A store for one process. Without a folder it is forgotten with the process."""

    def __init__(self, folder: Path | None) -> None:
        self._file = None if folder is None else folder / _FILE
        self._texts: dict[str, str] = {}

    async def read(self) -> Mapping[str, Record]:
        """All records. What cannot be read is left out, and said in the log."""
        if self._file is not None and self._file.exists():
            try:
                self._texts = {str(uid): str(text) for uid, text in json.loads(self._file.read_bytes()).items()}
            except (OSError, ValueError, AttributeError) as error:
                log.warning("what was tuned is found anew", file=str(self._file), reason=str(error))
        records = {}
        for uid, text in self._texts.items():
            try:
                records[uid] = decode(uid, text)
            except UnreadableRecordError as error:
                log.warning("what a policy is tuned by is found anew", policy_uid=uid, reason=str(error))
        return records

    async def write(self, changes: Mapping[str, Record | None]) -> None:
        """Write records, or drop those that are None: a crash leaves the old file or the new one."""
        for uid, record in changes.items():
            if record is None:
                self._texts.pop(uid, None)
            else:
                self._texts[uid] = encode(record)
        if self._file is None:
            return
        new = self._file.with_suffix(".new")
        try:
            with new.open("w", encoding="utf-8") as file:
                json.dump(self._texts, file)
                file.flush()
                os.fsync(file.fileno())
            new.replace(self._file)
        except OSError as error:
            raise TuningUnavailableError(f"{self._file} cannot be written: {error.strerror}") from error
