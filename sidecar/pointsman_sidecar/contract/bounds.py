"""How many parts a request may have, counted before anything is made of them.

The bytes of a request do not bound what it costs to read it: four mebibytes hold one text, or a million empty objects,
each of which becomes one of Python's. What is counted here is what costs.
"""

from google.protobuf.descriptor import Descriptor, FieldDescriptor

# Of members of objects, and of objects and lists, together. A message of a conversation has about four.
MOST_PARTS = 50_000
# Of all values: the numbers of a list are cheap, and 300,000 tokens are what embeddings may be asked for at once.
MOST_VALUES = 500_000
# What is counted at a time, so that another thread may run in between.
_WINDOW = 64 * 1024
# How a field is written, and how many bytes those have whose size is fixed.
_VARINT, _LENGTH = 0, 2
_SIZES = {1: 8, 5: 4}
_CONTINUES, _SEVEN_BITS, _LONGEST_VARINT = 0x80, 0x7F, 10


class TooManyPartsError(ValueError):
    """There are more parts than are read. The text says so of a field."""

    def __init__(self, most: int, what: str) -> None:
        super().__init__(f"has more than {most:,} {what}, which is more than is read: send less at once")


def check_json(raw: bytes) -> None:
    """Count the parts of a JSON document.

    What is malformed is counted no further than somebody reads it.

    Raises:
        TooManyPartsError: it has too many.
    """
    parts = values = start = 0
    within = False
    while start < len(raw):
        window = raw[start : start + _WINDOW]
        if window.endswith(b"\\") and (len(window) - len(window.rstrip(b"\\"))) % 2:
            # What it escapes belongs to it.
            window = raw[start : start + _WINDOW + 1]
        start += len(window)
        if b"\\" in window:
            # Without what is escaped, every quotation mark begins a text or ends one.
            window = window.replace(b"\\\\", b"").replace(b'\\"', b"")
        pieces = window.split(b'"')
        outside = b"".join(pieces[1 if within else 0 :: 2])
        within ^= len(pieces) % 2 == 0
        parts += outside.count(b":") + outside.count(b"{") + outside.count(b"[")
        values += outside.count(b",")
        if parts > MOST_PARTS:
            raise TooManyPartsError(MOST_PARTS, "members, objects and lists")
        if values > MOST_VALUES:
            raise TooManyPartsError(MOST_VALUES, "values")


def check_message(raw: bytes, descriptor: Descriptor) -> None:
    """Count the fields of a serialized message and of the messages within it.

    What is malformed is counted no further than somebody reads it.

    Raises:
        TooManyPartsError: it has too many.
    """
    fields = 0
    within = [(0, len(raw), descriptor)]
    while within:
        place, end, known = within.pop()
        numbers = known.fields_by_number
        while place < end:
            fields += 1
            if fields > MOST_PARTS:
                raise TooManyPartsError(MOST_PARTS, "fields")
            tag, place = _varint(raw, place) if raw[place] >= _CONTINUES else (raw[place], place + 1)
            kind = tag & 7
            if kind == _LENGTH:
                size, place = _varint(raw, place)
                field: FieldDescriptor | None = numbers.get(tag >> 3)
                if size and field is not None and field.message_type is not None:
                    within.append((place, min(place + size, end), field.message_type))
                place += size
            elif kind == _VARINT:
                _, place = _varint(raw, place)
            else:
                # The fields of groups come one after the other like all others, and what does not exist is passed over.
                place += _SIZES.get(kind, 0)


def _varint(raw: bytes, place: int) -> tuple[int, int]:
    """A number and where it ends. One that is cut off ends with the bytes."""
    if place < len(raw) and raw[place] < _CONTINUES:
        return raw[place], place + 1
    value = 0
    for index, byte in enumerate(raw[place : place + _LONGEST_VARINT]):
        value |= (byte & _SEVEN_BITS) << (7 * index)
        if byte < _CONTINUES:
            return value, place + index + 1
    return value, len(raw)
