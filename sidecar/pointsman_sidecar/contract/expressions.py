"""Expressions of rules, compiled once for a snapshot.

CEL's engine is loaded with the first expression: a sidecar whose policy has none does not pay for it.
"""

import re
from collections.abc import Callable, Mapping
from functools import cache
from typing import TYPE_CHECKING, Any

from google.protobuf.descriptor import FieldDescriptor

from pointsman_api.v1 import snapshot_pb2
from pointsman_sidecar.contract.rejections import SnapshotRejectedError
from pointsman_sidecar.routing.facts import VARIABLES
from pointsman_sidecar.routing.matchers import Expression, ExpressionError

if TYPE_CHECKING:
    from cel_expr_python import cel

# Those that a source may name: one that stands in a string too costs its value and no more.
_NAMED = re.compile(r"\brequest\s*\.\s*(\w+)")
_PREFIX = "request."
_FAILURES = (
    ("Key not found", "it reads a key that is not there; ask with in or has(…) first"),
    ("Index error", "it reads an element that is not there"),
    ("divide by zero", "it divides by zero"),
    ("modulus by zero", "it divides by zero"),
    ("Iteration budget", "it takes too many steps"),
)


def expression(source: str, *, where: str) -> Expression:
    """Compile an expression.

    Raises:
        SnapshotRejectedError: it does not compile here, or is neither true nor false.
    """
    from cel_expr_python import cel  # noqa: PLC0415 - see above

    environment = _environment()
    try:
        compiled = environment.compile(source)
    except RuntimeError as error:
        raise SnapshotRejectedError(f"{where} has an expression that does not compile: {_first_line(error)}") from None
    if compiled.return_type() != cel.Type.BOOL:
        raise SnapshotRejectedError(f"{where} has an expression that is neither true nor false")
    names = frozenset(name for name in _NAMED.findall(source) if name in VARIABLES)
    return Expression(source=source, names=names, evaluate=_evaluator(compiled, cel.Type.BOOL))


def _evaluator(compiled: "cel.Expression", truth: "cel.Type") -> Callable[[Mapping[str, Any]], bool]:
    def evaluate(values: Mapping[str, Any]) -> bool:
        try:
            result = compiled.eval(data={f"{_PREFIX}{name}": value for name, value in values.items()})
        except RuntimeError as error:
            raise ExpressionError(_why(str(error))) from None
        if result.type() != truth:
            raise ExpressionError(_why(str(result.value())))
        return bool(result.value())

    return evaluate


@cache
def _environment() -> "cel.Env":
    from cel_expr_python import cel  # noqa: PLC0415 - see above

    scalars = {FieldDescriptor.TYPE_STRING: cel.Type.STRING, FieldDescriptor.TYPE_INT64: cel.Type.INT}

    def kind(field: FieldDescriptor) -> "cel.Type":
        if field.message_type is not None:
            return cel.Type.Map(cel.Type.STRING, cel.Type.STRING)
        return cel.Type.List(scalars[field.type]) if field.is_repeated else scalars[field.type]

    fields = snapshot_pb2.ExpressionVariables.DESCRIPTOR.fields
    return cel.NewEnv(variables={f"{_PREFIX}{field.json_name}": kind(field) for field in fields})


def _why(error: str) -> str:
    # In words of our own: the engine's may quote what the request says.
    return next((words for mark, words in _FAILURES if mark in error), "it came to no verdict")


def _first_line(error: RuntimeError) -> str:
    return str(error).partition("\n")[0].rpartition("<input>:")[2]
