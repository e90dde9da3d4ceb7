"""Embeddings as OpenAI's clients ask for them: passed on byte for byte but for the model's name."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from pointsman_sidecar.contract import json, shapes
from pointsman_sidecar.contract.chat_answers import decoded
from pointsman_sidecar.contract.forms import Operation, ProviderRequest, ReadAnswer, ReadChunk
from pointsman_sidecar.contract.hints import Hints, check_hints
from pointsman_sidecar.contract.json_form import JsonForm
from pointsman_sidecar.contract.provider_answers import UnreadableAnswerError, read_usage
from pointsman_sidecar.contract.requests import AUTO, LONGEST_MODEL, InvalidRequestError, Violation
from pointsman_sidecar.routing.estimates import text_tokens
from pointsman_sidecar.routing.features import Features
from pointsman_sidecar.routing.policy import Feature, Model


class _Body(msgspec.Struct, gc=False):
    input: str | list[str | int | list[int]]
    model: str | None = None
    user: str | None = None


class _Answer(msgspec.Struct, gc=False):
    data: list[msgspec.Raw]
    usage: Any = None


_body = msgspec.json.Decoder(_Body)
_answer = msgspec.json.Decoder(_Answer)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Request:
    members: Mapping[str, msgspec.Raw]
    features: Features


class EmbeddingsForm(JsonForm[_Request]):
    """Answers are the provider's own bytes."""

    operation = Operation.EMBEDDINGS

    def prompt(self) -> str:
        """See `Form`. Embeddings are the model's that the app names."""
        return ""

    def provider_request(
        self,
        features: Features,  # noqa: ARG002 - what is asked for has no answer to cap
        *,
        model: Model,
        policy_cap: int | None,  # noqa: ARG002 - the same
        stream: bool,  # noqa: ARG002 - embeddings come at once
    ) -> ProviderRequest:
        """See `Form`."""
        body: dict[str, Any] = {**self._request.members, "model": model.provider_model}
        return ProviderRequest(body=json.encode(body), changes=())

    def read_answer(self, raw: bytes) -> ReadAnswer[bytes]:
        """See `Form`."""
        answer = decoded(raw, _answer)
        if not answer.data:
            raise UnreadableAnswerError("the answer has no embeddings")
        return ReadAnswer(content=raw, usage=read_usage({"usage": answer.usage}))

    def read_chunk(self, raw: bytes) -> ReadChunk[bytes]:  # noqa: ARG002 - `Form` has it
        """See `Form`. Embeddings do not come in pieces."""
        raise UnreadableAnswerError("embeddings do not come in pieces")

    def _parsed(self, raw: bytes, hints: Hints) -> _Request:
        return _read(raw, hints)

    def _features(self, request: _Request) -> Features:
        return request.features


def _read(raw: bytes, hints: Hints) -> _Request:
    body, members = shapes.read(raw, _body)
    if not body.input:
        raise InvalidRequestError((Violation("input", "is empty: give a text, or a list of them"),))
    if len(body.model or "") > LONGEST_MODEL:
        raise InvalidRequestError((Violation("model", f"is longer than {LONGEST_MODEL} characters"),))
    said = Hints(
        user=hints.user or body.user or "", session=hints.session, severity=hints.severity, metadata=hints.metadata
    )
    check_hints(said)
    features = Features(
        request_bytes=len(raw),
        estimated_input_tokens=_longest(body.input),
        needs=frozenset({Feature.EMBEDDINGS}),
        model="" if body.model in {None, AUTO} else body.model or "",
        user=said.user,
        session=said.session,
        severity=said.severity,
        priority=hints.priority,
        metadata=said.metadata,
    )
    return _Request(members=members, features=features)


def _longest(given: str | list[str | int | list[int]]) -> int:
    """Tokens of the longest input: each of them must fit by itself."""
    if isinstance(given, str):
        return text_tokens(given)
    if isinstance(given[0], int):
        return len(given)
    return max(text_tokens(each) if isinstance(each, str) else len(each) for each in given if not isinstance(each, int))
