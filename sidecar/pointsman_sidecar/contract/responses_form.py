"""A request of OpenAI's Responses API, served as the chat completion that asks for the same."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import msgspec

from pointsman_sidecar.contract import provider_answers
from pointsman_sidecar.contract.chat_answers import read_chunk
from pointsman_sidecar.contract.chat_requests import ChatRequest, chat_call, read_chat
from pointsman_sidecar.contract.forms import Operation, ProviderRequest, ReadAnswer, ReadChunk
from pointsman_sidecar.contract.hints import Hints
from pointsman_sidecar.contract.json_form import JsonForm
from pointsman_sidecar.contract.prompts import chat_prompt
from pointsman_sidecar.contract.provider_answers import decoded
from pointsman_sidecar.contract.responses_answers import whole_response
from pointsman_sidecar.contract.responses_requests import chat_equivalent
from pointsman_sidecar.routing.features import Features
from pointsman_sidecar.routing.policy import Model


@dataclass(frozen=True, kw_only=True, slots=True)
class _Request:
    chat: ChatRequest
    repeated: Mapping[str, msgspec.Raw]


class ResponsesForm(JsonForm[_Request]):
    """Answers are responses, pieces are decoded chunks."""

    operation = Operation.CHAT

    @property
    def streams(self) -> bool:
        """Whether the answer is to come in events."""
        return self._found is not None and self._found.chat.stream

    @property
    def repeated(self) -> Mapping[str, msgspec.Raw]:
        """What the response repeats of the request."""
        return self._found.repeated if self._found is not None else {}

    def prompt(self) -> str:
        """See `Form`."""
        return chat_prompt(self._request.chat.members)

    def provider_request(
        self, features: Features, *, model: Model, policy_cap: int | None, stream: bool
    ) -> ProviderRequest:
        """See `Form`."""
        return chat_call(self._request.chat, features, model=model, policy_cap=policy_cap, stream=stream)

    def read_answer(self, raw: bytes) -> ReadAnswer[bytes]:
        """See `Form`."""
        body: Any = decoded(raw)
        # Read for its errors: what is translated must have the types that the API promises.
        provider_answers.read_answer(body)
        return ReadAnswer(content=whole_response(body, self._request.repeated), usage=provider_answers.read_usage(body))

    def read_chunk(self, raw: bytes) -> ReadChunk[Mapping[str, Any]]:
        """See `Form`."""
        body: Any = decoded(raw)
        provider_answers.read_chunk(body)
        chunk = read_chunk(raw)
        return ReadChunk(content=body, begins=chunk.begins, seen=chunk.seen, ended=chunk.ended, usage=chunk.usage)

    def _parsed(self, raw: bytes, hints: Hints) -> _Request:
        equal = chat_equivalent(raw)
        chat = read_chat(equal.body, hints)
        # Its size is the app's own, and not what the translation made of it.
        sized = replace(chat, features=replace(chat.features, request_bytes=len(raw)))
        return _Request(chat=sized, repeated=equal.repeated)

    def _features(self, request: _Request) -> Features:
        return request.chat.features
