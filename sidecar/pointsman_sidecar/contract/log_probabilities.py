"""Log-probabilities that are asked for to judge an answer, and taken out again where the app did not ask for them."""

import msgspec

from pointsman_api.v1 import decision_pb2
from pointsman_sidecar.contract import json
from pointsman_sidecar.contract.forms import ProviderRequest

_answer = msgspec.json.Decoder(dict[str, msgspec.Raw])
_choices = msgspec.json.Decoder(list[dict[str, msgspec.Raw]])
_NULL = msgspec.Raw(b"null")
_NAME = "logprobs"


def with_log_probabilities(call: ProviderRequest) -> ProviderRequest:
    """The call that asks for them, and says so."""
    change = decision_pb2.Change(
        field=_NAME, sent="true", message="the answer is judged by them; they go no further than here"
    )
    body = json.members(call.body)
    body[_NAME] = msgspec.Raw(b"true")
    return ProviderRequest(body=json.encode(body), changes=(*call.changes, change))


def without_log_probabilities(raw: bytes) -> bytes:
    """The answer, or a piece of one, as it is where nobody asks for them; all else of it stays byte for byte."""
    try:
        body = _answer.decode(raw)
        choices = _choices.decode(body.get("choices", _NULL))
    except (msgspec.DecodeError, ValueError, RecursionError):
        # Whoever reads it says what is wrong with it.
        return raw
    for choice in choices:
        if _NAME in choice:
            choice[_NAME] = _NULL
    body["choices"] = msgspec.Raw(json.encode(choices))
    return json.encode(body)
