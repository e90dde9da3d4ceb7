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
    if b"\\" in raw:
        # Without what is escaped, every quotation mark begins a text or ends one.
        raw = raw.replace(b"\\\\", b"").replace(b'\\"', b"")
    parts = values = 0
    within = False
    for start in range(0, len(raw), _WINDOW):
        pieces = raw[start : start + _WINDOW].split(b'"')
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
        while place < end:
            fields += 1
            if fields > MOST_PARTS:
                raise TooManyPartsError(MOST_PARTS, "fields")
            tag, place = _varint(raw, place)
            match tag & 7:
                case 0:
                    _, place = _varint(raw, place)
                case 1:
                    place += 8
                case 5:
                    place += 4
                case 2:
                    size, place = _varint(raw, place)
                    field: FieldDescriptor | None = known.fields_by_number.get(tag >> 3)
                    if field is not None and field.message_type is not None:
                        within.append((place, min(place + size, end), field.message_type))
                    place += size
                case _:
                    # Groups, whose fields come one after the other like all others, and what does not exist.
                    continue


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
