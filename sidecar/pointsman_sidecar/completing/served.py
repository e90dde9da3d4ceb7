"""A completion that is being served: what its parts tell each other."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from pointsman_api.v1 import decision_pb2
from pointsman_sidecar.contract.decisions import Progress
from pointsman_sidecar.contract.forms import Form
from pointsman_sidecar.quota.degrading import Degradation
from pointsman_sidecar.routing.features import Features
from pointsman_sidecar.telemetry.arrivals import Arrival
from pointsman_sidecar.telemetry.observer import Observation

# By their names in lower case, and without those that carry keys; read when a rule asks.
Headers = Callable[[], Mapping[str, str]]
_Answer = TypeVar("_Answer")
_Chunk = TypeVar("_Chunk")
_Chunk_contra = TypeVar("_Chunk_contra", contravariant=True)


class Chunks(Protocol[_Chunk_contra]):
    """Where pieces of a stream go."""

    async def chunk(self, chunk: _Chunk_contra) -> None:
        """More of the answer."""


class Sink(Protocol[_Chunk_contra]):
    """Where a stream goes. A method that waits holds the provider's stream back."""

    async def started(self, decision: decision_pb2.Decision) -> None:
        """The model has begun to answer: the decision, without usage and cost."""

    async def chunk(self, chunk: _Chunk_contra) -> None:
        """More of the answer."""

    async def finished(self, decision: decision_pb2.Decision) -> None:
        """The answer is complete: the whole decision."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Caller:
    """What a door knows of a call: how it came in, its headers for rules, and how many seconds the caller waits."""

    arrival: Arrival
    headers: Headers
    patience: float | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Answered(Generic[_Answer]):
    """A whole answer in the form of its request, and how it was decided."""

    content: _Answer
    decision: decision_pb2.Decision


@dataclass(kw_only=True, slots=True)
class Serving(Generic[_Answer, _Chunk]):
    """One completion.

    `total` is its one timer, entered before the first attempt. It ends at the policy's time, or earlier, where the
    caller is `hurried`. `subject` is the user as the ledger knows them, where a budget of each user asks. `reached` is
    what budgets' steps say, None where none is reached. `escalation` is the timer of a stronger model's answer.
    """

    form: Form[_Answer, _Chunk]
    features: Features
    progress: Progress
    observation: Observation
    total: asyncio.Timeout
    hurried: bool
    subject: str = ""
    reached: Degradation | None = None
    escalation: asyncio.Timeout | None = None
