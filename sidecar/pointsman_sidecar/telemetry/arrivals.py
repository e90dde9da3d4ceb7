"""How a request came in, as a span says it: each door has words of its own for that."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from pointsman_sidecar.telemetry import conventions


@dataclass(frozen=True, kw_only=True, slots=True)
class Arrival:
    """A request at a door.

    `headers` hold the context of the caller's trace. `ended` gives the attributes of how it ended, from its code and
    its reason.
    """

    name: str
    headers: Mapping[str, str]
    attributes: Mapping[str, str]
    ended: Callable[[str, str], Mapping[str, str | int]]


def over_grpc(method: str, headers: Mapping[str, str]) -> Arrival:
    """A call of a gRPC method, by its full name."""
    return Arrival(
        name=method,
        headers=headers,
        attributes={conventions.RPC_SYSTEM_NAME: conventions.GRPC, conventions.RPC_METHOD: method},
        ended=lambda code, _: {conventions.RPC_RESPONSE_STATUS_CODE: code},
    )
