"""What kubectl takes a YAML scalar for, and what JSON makes of a number on its way to the API server.

kubectl's YAML is version 1.1 as Go reads it: `on` is true and `010` is 8, but dates and `1:30` are strings. Python's
YAML would differ in each of these.
"""

import base64
import binascii
import math
import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Final, TypeAlias

_WORDS: Final = {
    **dict.fromkeys(["y", "Y", "yes", "Yes", "YES", "true", "True", "TRUE", "on", "On", "ON"], True),
    **dict.fromkeys(["n", "N", "no", "No", "NO", "false", "False", "FALSE", "off", "Off", "OFF"], False),
    **dict.fromkeys(["", "~", "null", "Null", "NULL"]),
    **dict.fromkeys([".inf", ".Inf", ".INF", "+.inf", "+.Inf", "+.INF"], math.inf),
    **dict.fromkeys(["-.inf", "-.Inf", "-.INF"], -math.inf),
    **dict.fromkeys([".nan", ".NaN", ".NAN"], math.nan),
}
_INTEGER: Final = re.compile(
    r"(?P<sign>[-+]?)(0[xX](?P<hex>[0-9a-fA-F]+)|0[bB](?P<binary>[01]+)|0[oO]?(?P<octal>[0-7]+)|(?P<plain>0|[1-9][0-9]*))"
)
_BASES: Final = {"hex": 16, "binary": 2, "octal": 8, "plain": 10}
_LONGEST_INTEGER: Final = len("-0b") + 64
_FLOAT: Final = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_SURROGATE: Final = re.compile("[\ud800-\udfff]")

_TAG: Final = "tag:yaml.org,2002:"
_TAGGED_TYPES: Final[Mapping[str, tuple[type, ...]]] = {
    "bool": (bool,),
    "int": (int,),
    "float": (int, float),
    "null": (type(None),),
}

Scalar: TypeAlias = str | bool | int | float | None


def plain(text: str) -> Scalar:
    """Read a scalar without quotes and without a tag."""
    if text in _WORDS:
        return _WORDS[text]
    if text[0] not in "+-.0123456789":
        return text
    digits = text.replace("_", "")
    if len(digits) <= _LONGEST_INTEGER and (match := _INTEGER.fullmatch(digits)):
        base = next(name for name in _BASES if match[name])
        whole = int(match["sign"] + match[base], _BASES[base])
        if -(2**63) <= whole < 2**64:
            return whole
    if _FLOAT.fullmatch(digits) and math.isfinite(value := float(digits)):
        return value
    return text


def tagged(tag: str, text: str) -> Scalar:
    """Read a scalar with an explicit tag; ValueError says why it cannot be that."""
    name = tag.removeprefix(_TAG)
    if name == "binary":
        try:
            return base64.b64decode(text, validate=True).decode()
        except (binascii.Error, UnicodeDecodeError):
            raise ValueError("!!binary must hold base64 of UTF-8") from None
    if name not in _TAGGED_TYPES:
        return text
    value = plain(text)
    if type(value) not in _TAGGED_TYPES[name]:
        raise ValueError(f"{text!r} cannot be read as !!{name}")
    return value


def carried(value: float) -> int | float:
    """Return the number that the server reads after JSON has carried it: 2.0 travels as 2, 2**64 becomes a float."""
    if not isinstance(value, int):
        # A whole number is written without an exponent, as the fewest digits that tell it from its neighbours.
        written = int(Decimal(repr(value))) if value.is_integer() else None
        return value if written is None or not -(2**63) <= written < 2**63 else written
    if -(2**63) <= value < 2**63:
        return value
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf


def carried_text(text: str) -> str:
    """Return the string that the server reads: half of a surrogate pair is no character there."""
    return _SURROGATE.sub("\ufffd", text)
