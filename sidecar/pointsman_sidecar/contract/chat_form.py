"""A chat completion as OpenAI's clients send it."""

from collections.abc import Mapping

from pointsman_sidecar.contract.chat_answers import ChatChunk, read_answer, read_chunk
from pointsman_sidecar.contract.chat_requests import ChatRequest, chat_call, read_chat
from pointsman_sidecar.contract.forms import Operation, ProviderRequest, ReadAnswer, ReadChunk
from pointsman_sidecar.contract.hints import read_hints
from pointsman_sidecar.contract.requests import InvalidRequestError
from pointsman_sidecar.routing.features import Features
from pointsman_sidecar.routing.policy import Model


class ChatForm:
    """A body and the headers beside it, by their names in lower case. Answers and chunks are the provider's own bytes.

    What is wrong with them is raised when the request is measured, so that it is seen as every other refusal.
    """

    operation = Operation.CHAT

    def __init__(self, raw: bytes, headers: Mapping[str, str]) -> None:
        self._read: ChatRequest | InvalidRequestError
        try:
            self._read = read_chat(raw, read_hints(headers))
        except InvalidRequestError as error:
            self._read = error

    @property
    def streams(self) -> bool:
        """Whether the answer is to come token by token."""
        return isinstance(self._read, ChatRequest) and self._read.stream

    @property
    def include_usage(self) -> bool:
        """Whether a stream is to end with what it cost."""
        return isinstance(self._read, ChatRequest) and self._read.include_usage

    def measure(self) -> Features:
        """See `Form`."""
        return self._request.features

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

    @property
    def _request(self) -> ChatRequest:
        if isinstance(self._read, InvalidRequestError):
            raise self._read
        return self._read
