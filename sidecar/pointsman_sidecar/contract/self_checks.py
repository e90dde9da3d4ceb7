"""The request by which a model is asked whether its own answer is right, and what it says to that."""

from typing import Never

import msgspec

from pointsman_sidecar.confidence.self_checks import told, weighed
from pointsman_sidecar.contract import json
from pointsman_sidecar.contract.forms import Operation, ProviderRequest, ReadAnswer, ReadChunk
from pointsman_sidecar.contract.provider_answers import UnreadableAnswerError, decoded, read_usage
from pointsman_sidecar.routing.features import Features
from pointsman_sidecar.routing.policy import Feature, Model

MOST_TOKENS = 16
"""How long the reply may be: a word, and room for a model that begins with a blank or a mark."""
QUESTION = "Is your answer above correct and complete? Reply with one word: Yes or No."
_WORDS = 5


class _Word(msgspec.Struct):
    token: str = ""
    logprob: float = 0.0
    top_logprobs: list["_Word"] = []


class _Logprobs(msgspec.Struct):
    content: list[_Word] | None = None


class _Message(msgspec.Struct):
    content: str | None = None


class _Choice(msgspec.Struct):
    message: _Message
    logprobs: _Logprobs | None = None


class _Reply(msgspec.Struct):
    choices: list[_Choice]


_reply = msgspec.json.Decoder(_Reply)
_messages = msgspec.json.Decoder(list[msgspec.Raw])


class SelfCheck:
    """The request that was sent, with the answer to it and one question more: a form as a door's is.

    Its content is how likely the answer is right, None where the model does not say. The conversation stands first, as
    it was sent, so that a provider may have it cached.
    """

    operation = Operation.CHAT

    def __init__(self, *, sent: bytes, answer: str) -> None:
        """Read what was sent.

        Raises:
            NotAnObjectError: it is no JSON object.
            msgspec.DecodeError: it has no messages.
        """
        self._messages = _messages.decode(json.members(sent)["messages"])
        self._answer = answer

    def measure(self) -> Never:
        """Never asked: what it needs follows from the request that it checks."""
        raise NotImplementedError

    def prompt(self) -> str:
        """It is given no score."""
        return ""

    def provider_request(
        self,
        features: Features,
        *,
        model: Model,
        policy_cap: int | None,  # noqa: ARG002 - a word is shorter than any
        stream: bool,  # noqa: ARG002 - and is not streamed
    ) -> ProviderRequest:
        """The call to `model`."""
        more = [{"role": "assistant", "content": self._answer}, {"role": "user", "content": QUESTION}]
        body: dict[str, object] = {
            "model": model.provider_model,
            "messages": [*self._messages, *more],
            "max_completion_tokens": MOST_TOKENS,
        }
        if Feature.LOGPROBS in features.needs:
            body |= {"logprobs": True, "top_logprobs": _WORDS}
        return ProviderRequest(body=msgspec.json.encode(body), changes=())

    def read_answer(self, raw: bytes) -> ReadAnswer[float | None]:
        """What the model says.

        Raises:
            UnreadableAnswerError: it is not what the API promises.
        """
        usage = read_usage(decoded(raw))
        try:
            choice = _reply.decode(raw).choices[0]
        except (msgspec.DecodeError, IndexError, RecursionError) as error:
            raise UnreadableAnswerError("the reply to a self-check has no message") from error
        return ReadAnswer(content=_verdict(choice), usage=usage)

    def read_chunk(self, raw: bytes) -> ReadChunk[Never]:
        """Never asked: it is not streamed."""
        raise NotImplementedError


def _verdict(choice: _Choice) -> float | None:
    words = (choice.logprobs and choice.logprobs.content) or ()
    for word in words:
        # A blank or a mark may come before it.
        if told(word.token) is not None:
            return weighed((each.token, each.logprob) for each in word.top_logprobs or [word])
    text = choice.message.content or ""
    return told(text.split(maxsplit=1)[0]) if text.strip() else None
