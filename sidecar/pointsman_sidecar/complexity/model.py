"""The model file: what training found, in whole small numbers. Written by training, read by the sidecar.

A line of JSON, then arrays: the hash of each term (4 bytes), how rare it is (1 byte), its weight for each kind of
question (1 byte each). Little-endian whatever the machine.
"""

import json
import sys
from array import array
from collections.abc import Sequence
from dataclasses import dataclass

from pointsman_sidecar.complexity.measures import NAMES, Kind

FORMAT = 1
# A rarity of 1 byte: 0 to 10 in steps of 1/25.
RARITY_STEPS = 25


class ModelError(Exception):
    """The model file cannot be read. It belongs to this version of the code: install both anew."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """The weights of one kind of question.

    A text's worth is `level + words * (its terms' weights, normed) + (its numbers, levelled) . numbers`.
    """

    level: float
    words: float
    numbers: tuple[float, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """What training found.

    `knots` and `levels` turn each measure into a number near -2 to 2 by where it lies among those of the training's
    texts. `terms` are hashes; `rarities` and, for each kind, `weights` are theirs. `quantiles` are the worths below
    which equal shares of a mixed population lie.
    """

    knots: tuple[tuple[float, ...], ...]
    levels: tuple[tuple[float, ...], ...]
    terms: Sequence[int]
    rarities: Sequence[int]
    heads: tuple[Head, ...]
    weights: tuple[Sequence[int], ...]
    quantiles: tuple[float, ...]


def dump(model: Model) -> bytes:
    """The model as a file."""
    head = {
        "format": FORMAT,
        "names": NAMES,
        "terms": len(model.terms),
        "knots": _rounded(model.knots),
        "levels": _rounded(model.levels),
        "heads": [
            {"level": _round(each.level), "words": _round(each.words), "numbers": [_round(one) for one in each.numbers]}
            for each in model.heads
        ],
        "quantiles": [_round(each) for each in model.quantiles],
    }
    line = json.dumps(head, separators=(",", ":")).encode()
    arrays = [array("I", model.terms), array("B", model.rarities), *(array("b", each) for each in model.weights)]
    return b"\n".join((line, b"".join(_little(each).tobytes() for each in arrays)))


def load(raw: bytes) -> Model:
    """The model of a file.

    Raises:
        ModelError: the file is broken, or belongs to another version.
    """
    line, _, rest = raw.partition(b"\n")
    try:
        head = json.loads(line)
        if head["format"] != FORMAT or tuple(head["names"]) != NAMES or len(head["heads"]) != len(Kind):
            raise ModelError("the complexity model is of another version than the code that reads it")
        count = head["terms"]
        if len(rest) != count * (5 + len(Kind)):
            raise ModelError("the complexity model is cut short")
        return Model(
            knots=tuple(tuple(each) for each in head["knots"]),
            levels=tuple(tuple(each) for each in head["levels"]),
            terms=_little(array("I", rest[: 4 * count])),
            rarities=array("B", rest[4 * count : 5 * count]),
            heads=tuple(
                Head(level=each["level"], words=each["words"], numbers=tuple(each["numbers"])) for each in head["heads"]
            ),
            weights=tuple(array("b", rest[(5 + kind) * count : (6 + kind) * count]) for kind in range(len(Kind))),
            quantiles=tuple(head["quantiles"]),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise ModelError("the complexity model cannot be read: its first line is no description of it") from error


def _little(values: "array[int]") -> "array[int]":
    if sys.byteorder == "big":
        values.byteswap()
    return values


def _rounded(rows: tuple[tuple[float, ...], ...]) -> list[list[float]]:
    return [[_round(each) for each in row] for row in rows]


def _round(value: float) -> float:
    return float(f"{value:.5g}")
