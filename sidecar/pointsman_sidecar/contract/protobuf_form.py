"""A request as gRPC carries it."""

from dataclasses import dataclass

from google.protobuf.message import DecodeError

from pointsman_api.v1 import completions_pb2
from pointsman_sidecar.contract import requests
from pointsman_sidecar.contract.bounds import TooManyPartsError, check_message
from pointsman_sidecar.contract.forms import Operation, ProviderRequest, ReadAnswer, ReadChunk
from pointsman_sidecar.contract.prompts import request_prompt
from pointsman_sidecar.contract.provider_answers import (
    begins,
    decoded,
    read_answer,
    read_chunk,
    read_plain_chunk,
    read_usage,
)
from pointsman_sidecar.contract.provider_requests import provider_request
from pointsman_sidecar.contract.requests import InvalidRequestError, Violation
from pointsman_sidecar.routing.features import Features
from pointsman_sidecar.routing.policy import Model

_FIRST, _NONE = frozenset({0}), frozenset[int]()


@dataclass(frozen=True, slots=True)
class ProtobufForm:
    """A `CompleteRequest`; answers are `CompleteResponse`s without a decision, pieces are `Chunk`s.

    `measured` is what is known of it already: its features, or what is wrong with it.
    """

    request: completions_pb2.CompleteRequest
    measured: Features | InvalidRequestError | None = None

    @classmethod
    def read(cls, raw: bytes, *, most_bytes: int) -> "ProtobufForm":
        """A request from its bytes, measured; one of more than `most_bytes` is only weighed, to be refused by that."""
        request = completions_pb2.CompleteRequest()
        if len(raw) > most_bytes:
            return cls(request, Features(request_bytes=len(raw), estimated_input_tokens=0))
        try:
            check_message(raw, completions_pb2.CompleteRequest.DESCRIPTOR)
            request.ParseFromString(raw)
            return cls(request, cls(request).measure())
        except InvalidRequestError as error:
            return cls(request, error)
        except TooManyPartsError as error:
            return cls(request, InvalidRequestError((Violation("request", str(error)),)))
        except DecodeError:
            why = "is no CompleteRequest: its bytes break off, or a text in it is not UTF-8"
            return cls(request, InvalidRequestError((Violation("request", why),)))

    @property
    def operation(self) -> Operation:
        """A chat completion."""
        return Operation.CHAT

    def measure(self) -> Features:
        """See `Form`."""
        if isinstance(self.measured, InvalidRequestError):
            raise self.measured
        if self.measured is not None:
            return self.measured
        requests.check(self.request)
        return requests.features(self.request)

    def prompt(self) -> str:
        """See `Form`."""
        return request_prompt(self.request)

    def provider_request(
        self, features: Features, *, model: Model, policy_cap: int | None, stream: bool
    ) -> ProviderRequest:
        """See `Form`."""
        return provider_request(self.request, features, model=model, policy_cap=policy_cap, stream=stream)

    def read_answer(self, raw: bytes) -> ReadAnswer[completions_pb2.CompleteResponse]:
        """See `Form`."""
        answer = decoded(raw)
        return ReadAnswer(content=read_answer(answer), usage=read_usage(answer))

    def read_chunk(self, raw: bytes) -> ReadChunk[completions_pb2.Chunk]:
        """See `Form`. What came before the first token says nothing that the contract has a field for."""
        plain = read_plain_chunk(raw)
        if plain is not None:
            delta = plain.choices[0]
            begun = bool(delta.content or delta.finish_reason)
            number = _FIRST if delta.index == 0 else frozenset({delta.index})
            return ReadChunk(
                content=plain if begun else None,
                begins=begun,
                seen=number,
                ended=number if delta.finish_reason else _NONE,
                usage=None,
            )
        body = decoded(raw)
        chunk = read_chunk(body)
        begun = begins(chunk)
        return ReadChunk(
            content=chunk if begun else None,
            begins=begun,
            seen={delta.index for delta in chunk.choices},
            ended={delta.index for delta in chunk.choices if delta.finish_reason},
            usage=read_usage(body),
        )
