"""Raw JSON in byte fields: read without losing a byte, written without adding one."""

from collections.abc import Mapping
from typing import Any

import msgspec

_members = msgspec.json.Decoder(dict[str, msgspec.Raw])
_encoder = msgspec.json.Encoder()


class NotAnObjectError(ValueError):
    """The bytes are no JSON object. The text says what they are."""


def members(raw: bytes) -> dict[str, msgspec.Raw]:
    """The members of a JSON object, each value byte for byte as it stands.

    Raises:
        NotAnObjectError: the bytes are no JSON, or JSON but no object.
    """
    try:
        # msgspec does not look into values that stay as they are; a provider does.
        raw.decode()
        return _members.decode(raw)
    except UnicodeDecodeError:
        raise NotAnObjectError("is not a JSON object: it is not UTF-8") from None
    except RecursionError:
        raise NotAnObjectError("is not a JSON object: it is nested too deeply") from None
    except msgspec.DecodeError as error:
        raise NotAnObjectError(f"is not a JSON object: {error}") from None


def rest(values: Mapping[str, Any], *, known: frozenset[str]) -> bytes:
    """A JSON object of the members that are not known, no bytes where there are none. A null says nothing: left out."""
    others = {name: value for name, value in values.items() if name not in known and value is not None}
    return _encoder.encode(others) if others else b""
