"""How the API server prints a value in a sentence, which is how Go prints it.

Only the printing of JSON values belongs here, so that sentences can be compared with the server's to the letter.
"""

import json
import math
import unicodedata
from decimal import Decimal
from typing import Any

_ESCAPES = {
    "\a": r"\a",
    "\b": r"\b",
    "\f": r"\f",
    "\n": r"\n",
    "\r": r"\r",
    "\t": r"\t",
    "\v": r"\v",
    "\\": r"\\",
    '"': r"\"",
}
# Go's encoder escapes what could end a script element.
_HTML = str.maketrans({"<": r"\u003c", ">": r"\u003e", "&": r"\u0026", "\u2028": r"\u2028", "\u2029": r"\u2029"})


def quoted(text: str) -> str:
    """Print a string with quotes around it, as `%q` does."""
    return '"' + "".join(_escaped(character) for character in text) + '"'


def _escaped(character: str) -> str:
    if character in _ESCAPES:
        return _ESCAPES[character]
    if character == " " or unicodedata.category(character)[0] in "LMNPS":
        return character
    code = ord(character)
    if code < 0x80:  # noqa: PLR2004 - ASCII
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"  # noqa: PLR2004 - the basic plane


def number(value: float) -> str:
    """Print a number as `%v` does: floats of a million and more with an exponent."""
    return str(value) if isinstance(value, int) else _float(value, plain=range(-4, 6))


def _float(value: float, *, plain: range) -> str:
    """Print the fewest digits that give the value back, with an exponent unless it lies in `plain`."""
    if not math.isfinite(value):
        return {math.inf: "+Inf", -math.inf: "-Inf"}.get(value, "NaN")
    shortest = Decimal(repr(value)).normalize()
    if shortest.adjusted() in plain:
        return f"{shortest:f}"
    sign, digits, _ = shortest.as_tuple()
    fraction = "".join(map(str, digits[1:]))
    return f"{'-' * sign}{digits[0]}{'.' * bool(fraction)}{fraction}e{shortest.adjusted():+03d}"


def as_json(value: Any) -> str:
    """Print a value as Go's JSON encoder does: compact, keys sorted, HTML escaped."""
    match value:
        case dict():
            return "{" + ",".join(f"{as_json(key)}:{as_json(value[key])}" for key in sorted(value)) + "}"
        case list():
            return "[" + ",".join(map(as_json, value)) + "]"
        case str():
            return json.dumps(value, ensure_ascii=False).translate(_HTML)
        case float():
            return _float(value, plain=range(-6, 21)).replace("e-0", "e-")
        case _:
            return json.dumps(value)


def shown(value: Any) -> str:
    """Print the value that a sentence complains about."""
    match value:
        case str():
            return quoted(value)
        case bool() | dict() | list() | None:
            return as_json(value)
        case _:
            return number(value)
