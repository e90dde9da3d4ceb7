"""JSON read by the shape of a struct, with a sentence for what has another. What no struct names is passed over."""

import re
from typing import TypeVar

import msgspec

from pointsman_sidecar.contract import json
from pointsman_sidecar.contract.bounds import TooManyPartsError, check_json
from pointsman_sidecar.contract.requests import InvalidRequestError, Violation

# A member that stays as it came and may be left out; msgspec has no union of Raw with None.
NOTHING = msgspec.Raw()
_Shape = TypeVar("_Shape", bound=msgspec.Struct)
_PLACE = " - at `$"
_LONGEST = 200
_WORDS = {"str": "string", "int": "integer", "float": "number", "bool": "boolean"}
_WORD = re.compile(r"\b(?:str|int|float|bool)\b")


def read(raw: bytes, decoder: msgspec.json.Decoder[_Shape]) -> tuple[_Shape, dict[str, msgspec.Raw]]:
    """A request's body by its shape, and its members as they came.

    Raises:
        InvalidRequestError: it is no JSON object, or a member has another shape.
    """
    try:
        check_json(raw)
        members = json.members(raw)
    except TooManyPartsError as error:
        raise InvalidRequestError((Violation("body", str(error)),)) from None
    except json.NotAnObjectError as error:
        raise InvalidRequestError((Violation("body", str(error)),)) from None
    try:
        return decoder.decode(raw), members
    except msgspec.DecodeError as error:
        raise InvalidRequestError((_violation(error),)) from None
    except RecursionError:
        raise InvalidRequestError((Violation("body", "is nested too deeply"),)) from None


def _violation(error: msgspec.DecodeError) -> Violation:
    # The place comes last. What is before it may hold a name from the request, of any length.
    what, placed, where = str(error).rpartition(_PLACE)
    if not placed:
        what, where = where, ""
    what = _WORD.sub(lambda word: _WORDS[word[0]], _cut(what))
    return Violation(
        _cut(where.removesuffix("`").removeprefix(".")) or "body", f"does not fit: {what[:1].lower()}{what[1:]}"
    )


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."


def is_given(raw: msgspec.Raw) -> bool:
    """Whether a member is there and is not null."""
    return bytes(raw) not in {b"", b"null"}
