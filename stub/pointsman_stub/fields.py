"""JSON bodies and the fields of objects, read and refused by name; what a field means is its reader's business."""

import json
from typing import Any

from pointsman_stub.errors import ApiError, Json, missing, wrong_type, wrong_value


def read_json(raw: bytes) -> Any:
    """The document in a request's body."""
    try:
        value = json.loads(raw)
        if b"\\u" in raw:
            # Half a surrogate pair is JSON, but no text: it could not be sent back.
            json.dumps(value, ensure_ascii=False).encode()
    except ValueError as error:
        raise ApiError(f"The body of the request is not valid JSON: {error}.") from error
    return value


def boolean(body: Json, name: str, *, default: bool = False) -> bool:
    """A boolean; absent or null is the default."""
    value = body.get(name)
    if value is None:
        return default
    if not isinstance(value, bool):
        raise wrong_type(name, expected="a boolean", got=value)
    return value


def number(body: Json, name: str, *, low: float, high: float) -> float | None:
    """A number within bounds, both allowed."""
    value = body.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise wrong_type(name, expected="a number", got=value)
    if not low <= value <= high:
        raise wrong_value(name, expected=f"a number from {low} to {high}")
    return value


def integer(body: Json, name: str, *, low: int | None = None, high: int | None = None) -> int | None:
    """An integer within bounds, both allowed."""
    value = body.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int):
        raise wrong_type(name, expected="an integer", got=value)
    if low is not None and value < low:
        raise wrong_value(name, expected=f"an integer of at least {low}")
    if high is not None and value > high:
        raise wrong_value(name, expected=f"an integer of at most {high}")
    return value


def string(body: Json, name: str, *, path: str) -> str:
    """A string that must be there; `path` is where the object stands in the request."""
    value = _required(body, name, path=path)
    if not isinstance(value, str):
        raise wrong_type(f"{path}.{name}", expected="a string", got=value)
    return value


def mapping(body: Json, name: str, *, path: str) -> Json:
    """An object that must be there."""
    value = _required(body, name, path=path)
    if not isinstance(value, dict):
        raise wrong_type(f"{path}.{name}", expected="an object", got=value)
    return value


def array(value: object, *, path: str) -> list[Any]:
    """An array with at least one item."""
    if not isinstance(value, list):
        raise wrong_type(path, expected="an array of objects", got=value)
    if not value:
        raise ApiError(f"'{path}' must hold at least one item.", param=path, code="empty_array")
    return value


def _required(body: Json, name: str, *, path: str) -> Any:
    if name not in body:
        raise missing(f"{path}.{name}")
    return body[name]
