"""How much of a resource the sidecar asks for, and how much it may take, as people write it."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

_AMOUNT = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,3})?)([a-zA-Z]*)")


class AllowanceError(Exception):
    """What was written cannot be read; the message says what to write instead."""


@dataclass(frozen=True, kw_only=True)
class Resource:
    """A resource and the units that it is written in.

    Fewer than Kubernetes takes: `128m` of memory, or 128 of it without a unit, is never what was meant.
    """

    name: str
    units: Mapping[str, Decimal]
    example: str


@dataclass(frozen=True, kw_only=True)
class Allowance:
    """Amounts of one resource, as Kubernetes takes them."""

    request: str
    limit: str


CPU: Final = Resource(name="CPU", units={"": Decimal(1), "m": Decimal("0.001")}, example="100m")
MEMORY: Final = Resource(
    name="memory",
    units={
        "Ki": Decimal(2**10),
        "Mi": Decimal(2**20),
        "Gi": Decimal(2**30),
        "k": Decimal(10**3),
        "M": Decimal(10**6),
        "G": Decimal(10**9),
    },
    example="128Mi",
)


def read_allowance(text: str, resource: Resource) -> Allowance:
    """Read `AMOUNT`, which is both request and limit, or `REQUEST/LIMIT`. Raise AllowanceError if it is neither."""
    request, slash, limit = text.partition("/")
    allowance = Allowance(request=request, limit=limit if slash else request)
    if _value(allowance.request, text, resource) > _value(allowance.limit, text, resource):
        raise AllowanceError(
            f"{text!r} asks for more {resource.name} than it allows; the request stands before the limit"
        )
    return allowance


def _value(amount: str, text: str, resource: Resource) -> Decimal:
    found = _AMOUNT.fullmatch(amount)
    value = Decimal(found[1]) * resource.units.get(found[2], 0) if found else Decimal(0)
    if not value:
        raise AllowanceError(
            f"{text!r} is no amount of {resource.name}; write one such as {resource.example}, or a request and a limit "
            "with a slash between them"
        )
    return value
