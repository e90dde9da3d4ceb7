"""A chat completion as OpenAI's clients send it."""

from pointsman_sidecar.contract.chat_answers import ChatChunk, read_answer, read_chunk
from pointsman_sidecar.contract.chat_requests import ChatRequest, chat_call, read_chat
from pointsman_sidecar.contract.forms import Operation, ProviderRequest, ReadAnswer, ReadChunk
from pointsman_sidecar.contract.hints import Hints
from pointsman_sidecar.contract.json_form import JsonForm
from pointsman_sidecar.contract.prompts import chat_prompt
from pointsman_sidecar.routing.features import Features
from pointsman_sidecar.routing.policy import Model


class ChatForm(JsonForm[ChatRequest]):
    """Answers and chunks are the provider's own bytes."""

    operation = Operation.CHAT

    @property
    def streams(self) -> bool:
        """Whether the answer is to come token by token."""
        return self._found is not None and self._found.stream

    @property
    def include_usage(self) -> bool:
        """Whether a stream is to end with what it cost."""
        return self._found is not None and self._found.include_usage

    def prompt(self) -> str:
        """See `Form`."""
        return chat_prompt(self._request.members)

    def provider_request(
        self, features: Features, *, model: Model, policy_cap: int | None, stream: bool
    ) -> ProviderRequest:
        """See `Form`."""
        return chat_call(self._request, features, model=model, policy_cap=policy_cap, stream=stream)

    def read_answer(self, raw: bytes) -> ReadAnswer[bytes]:
        """See `Form`."""
        return read_answer(raw)

    def read_chunk(self, raw: bytes) -> ReadChunk[ChatChunk]:
        """See `Form`."""
        return read_chunk(raw)

    def _parsed(self, raw: bytes, hints: Hints) -> ChatRequest:
        return read_chat(raw, hints)

    def _features(self, request: ChatRequest) -> Features:
        return request.features
