"""Embeddings: a request read and checked, and vectors that depend on model and input alone."""

import base64
import hashlib
import math
import struct
from collections.abc import Iterator

from pointsman_stub.errors import ApiError, Json, missing, wrong_type, wrong_value
from pointsman_stub.fields import integer
from pointsman_stub.models import Model
from pointsman_stub.tokens import count

# Few, so that a test can print them; a request may ask for more.
DIMENSIONS = 8
_MOST_DIMENSIONS = 3_072
_MOST_INPUTS = 2_048
_PARAMETERS = frozenset({"input", "model", "encoding_format", "dimensions", "user"})

Input = str | list[int]


def embed(body: Json, model: Model) -> Json:
    """The answer to `POST /v1/embeddings`."""
    if not model.embeds:
        raise ApiError(
            f"The model '{model.id}' gives no embeddings.", status=403, param="model", code="model_not_allowed"
        )
    unknown = sorted(body.keys() - _PARAMETERS)
    if unknown:
        raise ApiError(f"Unknown parameter: '{unknown[0]}'.", param=unknown[0], code="unknown_parameter")
    dimensions = integer(body, "dimensions", low=1, high=_MOST_DIMENSIONS) or DIMENSIONS
    form = body.get("encoding_format", "float")
    if form not in {"float", "base64"}:
        raise wrong_value("encoding_format", expected="float or base64")
    inputs = _inputs(body)
    tokens = sum(count(each) if isinstance(each, str) else len(each) for each in inputs)
    vectors = [_vector(model, each, dimensions) for each in inputs]
    return {
        "object": "list",
        "data": [
            {"object": "embedding", "index": index, "embedding": _encoded(vector) if form == "base64" else vector}
            for index, vector in enumerate(vectors)
        ],
        "model": model.id,
        "usage": {"prompt_tokens": tokens, "total_tokens": tokens},
    }


def _inputs(body: Json) -> list[Input]:
    match body.get("input"):
        case None:
            raise missing("input")
        case str() as text:
            return [_checked(text)]
        case list() as tokens if tokens and all(_is_token(each) for each in tokens):
            return [tokens]
        case list() as inputs if 0 < len(inputs) <= _MOST_INPUTS:
            return [_checked(each) for each in inputs]
        case other:
            raise wrong_type("input", expected=f"a string or an array of 1 to {_MOST_INPUTS}", got=other)


def _checked(given: object) -> Input:
    match given:
        case str() if given:
            return given
        case list() if given and all(_is_token(each) for each in given):
            return given
        case _:
            raise wrong_value("input", expected="strings or arrays of tokens, none of them empty")


def _is_token(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _vector(model: Model, given: Input, dimensions: int) -> list[float]:
    drawn = list(_numbers(f"{model.id}\n{given}", dimensions))
    length = math.hypot(*drawn) or 1.0
    return [round(number / length, 6) for number in drawn]


def _numbers(seed: str, how_many: int) -> Iterator[float]:
    for index in range(how_many):
        digest = hashlib.sha256(f"{seed}\n{index}".encode()).digest()
        yield int.from_bytes(digest[:4], "big", signed=True) / 2**31


def _encoded(vector: list[float]) -> str:
    return base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()
