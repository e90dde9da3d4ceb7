"""The journal: what the same pod needs after a crash, to go on with the blocks that it held. Pure: bytes in, bytes out.

Records are only appended, and each says all of a block, so that the last one counts. Each is written before what
follows from it happens, so that a record that is torn at the end, because the process ended within the write, says of
something that never happened. Anything else that is wrong means that the file is not what was written, and none of it
is believed: then the blocks are lost, which costs budget and never exceeds it.

A process that ends loses nothing that it has written; a machine that ends may. So the journal names the machine's boot,
and one of another boot is not believed either.
"""

import json
import struct
import zlib
from collections.abc import Iterable
from dataclasses import dataclass

from pointsman_sidecar.quota.messages import AccountKey, Stamp

_VERSION = 1
_MAX_LENGTH = 0xFFFF
# A record's length, the same inverted, and the checksum of its content.
_FRAME = struct.Struct("<HHI")
_STATE = struct.Struct("<cQqqqqqq?")
_DROP = struct.Struct("<cQ")


@dataclass(frozen=True, kw_only=True, slots=True)
class Kept:
    """A block as the journal has it. What is not sure to be unused counts as used."""

    serial: int
    key: AccountKey
    created: Stamp | None = None
    granted: int = 0
    returned: int = 0
    used: int = 0
    overrun: int = 0
    closing: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Recovered:
    """What a journal says: whose it is, the highest serial that was used, and the blocks that were held."""

    incarnation: str
    high: int
    blocks: tuple[Kept, ...]


def head(*, incarnation: str, boot: str, high: int) -> bytes:
    """The first record."""
    return _framed(b"H" + json.dumps([_VERSION, incarnation, boot, high]).encode())


def opened(serial: int, key: AccountKey) -> bytes:
    """A block is asked for."""
    return _framed(b"O" + json.dumps([serial, key.budget, key.unit, key.subject, key.start, key.end]).encode())


def state(
    serial: int, *, created: Stamp | None, granted: int, returned: int, mark: int, overrun: int, closing: bool
) -> bytes:
    """How a block stands."""
    era, version = (-1, -1) if created is None else (created.era, created.version)
    return _framed(_STATE.pack(b"S", serial, era, version, granted, returned, mark, overrun, closing))


def dropped(serial: int) -> bytes:
    """A block is no more."""
    return _framed(_DROP.pack(b"D", serial))


def image(blocks: Iterable[Kept], *, incarnation: str, boot: str, high: int) -> bytes:
    """A whole journal that says the same as one that has grown long."""
    records = [head(incarnation=incarnation, boot=boot, high=high)]
    for block in blocks:
        records.append(opened(block.serial, block.key))
        records.append(
            state(
                block.serial,
                created=block.created,
                granted=block.granted,
                returned=block.returned,
                mark=block.used,
                overrun=block.overrun,
                closing=block.closing,
            )
        )
    return b"".join(records)


def read(journal: bytes, *, boot: str) -> Recovered | None:
    """Read a journal; None where there is none that can be believed."""
    try:
        records = list(_records(journal))
        return _read(records, boot=boot) if records else None
    except (LookupError, ValueError, TypeError, struct.error):
        return None


def _framed(content: bytes) -> bytes:
    length = len(content)
    if length > _MAX_LENGTH:
        raise ValueError(f"a record of {length} bytes is too long for the journal")
    return _FRAME.pack(length, length ^ _MAX_LENGTH, zlib.crc32(content)) + content


def _records(journal: bytes) -> Iterable[bytes]:
    at = 0
    while at + _FRAME.size <= len(journal):
        length, inverted, checksum = _FRAME.unpack_from(journal, at)
        if length ^ _MAX_LENGTH != inverted:
            raise ValueError("a record's length is not what was written")
        content = journal[at + _FRAME.size : at + _FRAME.size + length]
        if len(content) < length:
            return
        if zlib.crc32(content) != checksum:
            raise ValueError("a record is not what was written")
        yield content
        at += _FRAME.size + length


def _read(records: list[bytes], *, boot: str) -> Recovered | None:
    if records[0][:1] != b"H":
        raise ValueError("the journal has no head")
    version, incarnation, of_boot, high = json.loads(records[0][1:])
    if version != _VERSION or of_boot != boot:
        return None
    blocks: dict[int, Kept] = {}
    for record in records[1:]:
        match record[:1]:
            case b"O":
                serial, budget, unit, subject, start, end = json.loads(record[1:])
                key = AccountKey(budget=budget, unit=unit, subject=subject, start=start, end=end)
                blocks[serial] = Kept(serial=serial, key=key)
                high = max(high, serial)
            case b"S":
                _, serial, era, at, granted, returned, mark, overrun, closing = _STATE.unpack(record)
                blocks[serial] = Kept(
                    serial=serial,
                    key=blocks[serial].key,
                    created=None if era < 0 else Stamp(era=era, version=at),
                    granted=granted,
                    returned=returned,
                    used=mark,
                    overrun=overrun,
                    closing=closing,
                )
            case b"D":
                _, serial = _DROP.unpack(record)
                blocks.pop(serial, None)
            case _:
                raise ValueError("a record is of a kind that this version does not know")
    return Recovered(incarnation=incarnation, high=high, blocks=tuple(blocks.values()))
