"""Raw JSON in byte fields: read without losing a byte, written without adding one."""

import json
from collections.abc import Mapping
from typing import Any

import msgspec

_members = msgspec.json.Decoder(dict[str, msgspec.Raw])
_values = msgspec.json.Decoder()
_encoder = msgspec.json.Encoder()
# To read it once more with a reader that is slow must take no time.
_MOST_LOOKED_AT = 64 * 1024


class NotJsonError(ValueError):
    """The bytes are no JSON. The text says why, and where."""


class NotAnObjectError(ValueError):
    """The bytes are no JSON object. The text says what they are."""


def decode(raw: bytes) -> Any:
    """All of a JSON document.

    Raises:
        NotJsonError: it is none, or none that can be held.
    """
    try:
        return _values.decode(raw)
    except UnicodeDecodeError:
        raise NotJsonError("it is not UTF-8") from None
    except RecursionError:
        raise NotJsonError("it is nested too deeply") from None
    except (msgspec.DecodeError, ValueError) as error:
        raise NotJsonError(_why(raw, error)) from None


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
        raise NotAnObjectError(f"is not a JSON object: {_why(raw, error)}") from None


def rest(values: Mapping[str, Any], *, known: frozenset[str]) -> bytes:
    """A JSON object of the members that are not known, no bytes where there are none. A null says nothing: left out."""
    others = {name: value for name, value in values.items() if name not in known and value is not None}
    return _encoder.encode(others) if others else b""


def extended(raw: bytes, name: str, value: object) -> bytes:
    """A JSON object with one member more at its end; all else stays byte for byte."""
    body = raw.rstrip()
    comma = b"" if body[:-1].rstrip().endswith(b"{") else b","
    return body[:-1] + comma + _encoder.encode(name) + b":" + _encoder.encode(value) + b"}"


def encode(value: object) -> bytes:
    """The JSON of a value; `msgspec.Raw` within it stays byte for byte."""
    return _encoder.encode(value)


def _why(raw: bytes, error: Exception) -> str:
    if "(byte " in str(error) or not isinstance(error, msgspec.DecodeError):
        return str(error)
    if len(raw) > _MOST_LOOKED_AT:
        return str(error)
    # msgspec names no place where the text ends too early, and takes half a character for that.
    try:
        json.loads(raw)
    except json.JSONDecodeError as again:
        return f"JSON is malformed: {again.msg} (byte {len(again.doc[: again.pos].encode())})"
    except (ValueError, RecursionError):
        return str(error)
    return str(error) if isinstance(error, msgspec.ValidationError) else "it holds half of a surrogate pair"
