"""The names by which a pod asks, and by which one recognises what was added to it."""

from typing import Final

from pointsman_operator.resources import kinds

INJECT_LABEL: Final = kinds.INJECT_LABEL
"""Of a pod or its namespace: "true" asks for the sidecar; a pod's "false" declines."""

INJECTED_LABEL: Final = kinds.INJECTED_LABEL
"""Of a pod that has the sidecar. A label, so that the operator can watch these pods and no others."""

INJECTION_ANNOTATION: Final = kinds.INJECTION_ANNOTATION
"""Tells injections apart that differ in image or settings."""

CPU_ANNOTATION: Final = "pointsman.dev/sidecar-cpu"
MEMORY_ANNOTATION: Final = "pointsman.dev/sidecar-memory"
GRPC_PORT_ANNOTATION: Final = "pointsman.dev/grpc-port"
HTTP_PORT_ANNOTATION: Final = "pointsman.dev/http-port"
STATUS_PORT_ANNOTATION: Final = "pointsman.dev/status-port"
LOG_LEVEL_ANNOTATION: Final = "pointsman.dev/log-level"
OVERRIDES: Final = (
    CPU_ANNOTATION,
    MEMORY_ANNOTATION,
    GRPC_PORT_ANNOTATION,
    HTTP_PORT_ANNOTATION,
    STATUS_PORT_ANNOTATION,
    LOG_LEVEL_ANNOTATION,
)

CONTAINER: Final = "pointsman-sidecar"
STATE_VOLUME: Final = "pointsman-state"
TOKEN_VOLUME: Final = "pointsman-token"  # noqa: S105 - a volume's name, no secret
