"""What a completion is made from and read into, whatever a door speaks: a request in a form of its own.

`completing` knows requests by this interface alone, so that every door takes the one path.
"""

from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from enum import StrEnum
from typing import Generic, Protocol, TypeVar

import msgspec

from pointsman_api.v1 import decision_pb2
from pointsman_sidecar.routing.costs import Usage
from pointsman_sidecar.routing.features import Features
from pointsman_sidecar.routing.policy import Model

Answer_co = TypeVar("Answer_co", covariant=True)
Chunk_co = TypeVar("Chunk_co", covariant=True)


class Operation(StrEnum):
    """What a provider is asked to do, by OpenTelemetry's names."""

    CHAT = "chat"
    EMBEDDINGS = "embeddings"


@dataclass(frozen=True, kw_only=True, slots=True)
class ProviderRequest:
    """The body of a call to a provider, and what in it differs from what the app asked for."""

    body: bytes
    changes: tuple[decision_pb2.Change, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class ReadAnswer(Generic[Answer_co]):
    """A whole answer in the door's form, and what it says of its tokens."""

    content: Answer_co
    usage: Usage | None


class ReadChunk(msgspec.Struct, Generic[Chunk_co], frozen=True, kw_only=True, gc=False):
    """A piece of a streamed answer.

    `content` is what goes on to the caller, None where nothing does. `begins` says whether it holds something of an
    answer: a role alone, or nothing, is no token yet. `seen` and `ended` are the numbers of the answers that it speaks
    of. A struct, since one is made for each token.
    """

    content: Chunk_co | None
    begins: bool
    seen: AbstractSet[int]
    ended: AbstractSet[int]
    usage: Usage | None


class Form(Protocol[Answer_co, Chunk_co]):
    """One request, in the form that its door speaks."""

    @property
    def operation(self) -> Operation:
        """What it asks for."""

    def measure(self) -> Features:
        """What the routing needs to know.

        Raises:
            InvalidRequestError: it is malformed.
        """

    def prompt(self) -> str:
        """The text that its complexity is told from; empty where there is none."""

    def provider_request(
        self, features: Features, *, model: Model, policy_cap: int | None, stream: bool
    ) -> ProviderRequest:
        """The call to `model`."""

    def read_answer(self, raw: bytes) -> ReadAnswer[Answer_co]:
        """The provider's whole answer.

        Raises:
            UnreadableAnswerError: it is not what the API promises.
        """

    def read_chunk(self, raw: bytes) -> ReadChunk[Chunk_co]:
        """One piece of the provider's answer.

        Raises:
            UnreadableAnswerError: it is not what the API promises.
        """
