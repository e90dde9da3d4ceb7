"""What a pod's annotations say about its own sidecar."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import Final, TypeVar

from pointsman_operator.inject.allowances import CPU, MEMORY, Allowance, AllowanceError, read_allowance
from pointsman_operator.inject.names import (
    CPU_ANNOTATION,
    GRPC_PORT_ANNOTATION,
    HTTP_PORT_ANNOTATION,
    INJECT_LABEL,
    INJECTION_ANNOTATION,
    LOG_LEVEL_ANNOTATION,
    MEMORY_ANNOTATION,
    OVERRIDES,
    STATUS_PORT_ANNOTATION,
)

DEFAULT_GRPC_PORT: Final = 8081
DEFAULT_STATUS_PORT: Final = 8082
DEFAULT_HTTP_PORT: Final = 8083
_PORTS: Final = range(1024, 65536)  # those below take a capability that the sidecar has not
_LOG_LEVELS: Final = ("debug", "info", "warning", "error")
_PREFIX: Final = "pointsman.dev/"

_Value = TypeVar("_Value")


class OverridesError(Exception):
    """Annotations cannot be obeyed; the message says which, and what to write instead."""


class _ValueError(Exception):
    pass


@dataclass(frozen=True, kw_only=True)
class Overrides:
    """What a pod asks of its sidecar; what it says nothing about is as the operator's settings or the sidecar say."""

    cpu: Allowance | None = None
    memory: Allowance | None = None
    grpc_port: int = DEFAULT_GRPC_PORT
    http_port: int = DEFAULT_HTTP_PORT
    status_port: int = DEFAULT_STATUS_PORT
    log_level: str | None = None


def read_overrides(annotations: Mapping[str, str]) -> Overrides:
    """Read the annotations. Raise OverridesError, which names all that is wrong."""
    wrong: list[str] = []

    def read(name: str, reader: Callable[[str], _Value], default: _Value) -> _Value:
        if (text := annotations.get(name)) is None:
            return default
        try:
            return reader(text)
        except (_ValueError, AllowanceError) as error:
            wrong.append(f"annotation {name}: {error}")
            return default

    overrides = Overrides(
        cpu=read(CPU_ANNOTATION, lambda text: read_allowance(text, CPU), None),
        memory=read(MEMORY_ANNOTATION, lambda text: read_allowance(text, MEMORY), None),
        grpc_port=read(GRPC_PORT_ANNOTATION, _port, DEFAULT_GRPC_PORT),
        http_port=read(HTTP_PORT_ANNOTATION, _port, DEFAULT_HTTP_PORT),
        status_port=read(STATUS_PORT_ANNOTATION, _port, DEFAULT_STATUS_PORT),
        log_level=read(LOG_LEVEL_ANNOTATION, _log_level, None),
    )
    if not wrong:
        wrong += _shared_ports(overrides)
    if wrong:
        raise OverridesError("; ".join(wrong))
    return overrides


def _shared_ports(overrides: Overrides) -> Iterator[str]:
    ports = {
        GRPC_PORT_ANNOTATION: overrides.grpc_port,
        HTTP_PORT_ANNOTATION: overrides.http_port,
        STATUS_PORT_ANNOTATION: overrides.status_port,
    }
    for (one, port), (other, its_port) in combinations(ports.items(), 2):
        if port == its_port:
            yield f"{one} and {other} are both {port}; write two ports"


def unknown_annotations(annotations: Iterable[str]) -> Iterator[str]:
    """Sentences on annotations that look like ours and do nothing, which their author should know."""
    for name in sorted(annotations):
        if name == INJECT_LABEL:
            yield f"{name} is a label; as an annotation it does nothing, so write it under metadata.labels"
        elif name.startswith(_PREFIX) and name not in {*OVERRIDES, INJECTION_ANNOTATION}:
            yield f"annotation {name} does nothing; those that do are {', '.join(OVERRIDES)}"


def _port(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and int(text) in _PORTS):
        raise _ValueError(f"{text!r} is no port for the sidecar; write a number from {_PORTS[0]} to {_PORTS[-1]}")
    return int(text)


def _log_level(text: str) -> str:
    if text.lower() not in _LOG_LEVELS:
        raise _ValueError(f"{text!r} is no log level; write one of {', '.join(_LOG_LEVELS)}")
    return text.lower()
