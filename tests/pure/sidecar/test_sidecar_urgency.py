"""Who goes first, by what a request says of itself."""

import pytest

from pointsman_api.v1 import completions_pb2, types_pb2
from pointsman_sidecar.contract.chat_form import ChatForm
from pointsman_sidecar.contract.protobuf_form import ProtobufForm
from pointsman_sidecar.contract.requests import InvalidRequestError
from pointsman_sidecar.routing.capability import most_usage
from pointsman_sidecar.routing.costs import Usage
from pointsman_sidecar.routing.features import Features
from pointsman_sidecar.routing.policy import Feature, Priority
from support.completions import ask
from support.policies import features, model

BODY = b'{"messages": [{"role": "user", "content": "Hello!"}]}'


def over_grpc(*, priority: str, severity: str) -> Features:
    """As gRPC says it."""
    hints = completions_pb2.RoutingHints(
        priority=types_pb2.Priority.Value(f"PRIORITY_{priority or 'unspecified'}".upper()),
        severity=types_pb2.Severity.Value(f"SEVERITY_{severity or 'unspecified'}".upper()),
    )
    return ProtobufForm(ask(hints=hints)).measure()


def over_http(*, priority: str, severity: str) -> Features:
    """As headers say it."""
    said = {"x-pointsman-priority": priority, "x-pointsman-severity": severity}
    return ChatForm(BODY, {name: value for name, value in said.items() if value}).measure()


@pytest.mark.parametrize("measured", [over_grpc, over_http])
@pytest.mark.parametrize(
    ("priority", "severity", "urgency"),
    [
        ("", "", Priority.NORMAL),
        ("low", "", Priority.LOW),
        ("normal", "", Priority.NORMAL),
        ("high", "", Priority.HIGH),
        ("", "low", Priority.LOW),
        ("", "medium", Priority.NORMAL),
        ("", "high", Priority.HIGH),
        ("", "critical", Priority.HIGH),
        # What is said of the turn counts more than what hangs on the answer.
        ("low", "critical", Priority.LOW),
        ("high", "low", Priority.HIGH),
    ],
)
def test_a_priority_is_what_is_said_or_what_the_severity_makes_of_it(
    measured: type[object], priority: str, severity: str, urgency: Priority
) -> None:
    assert measured(priority=priority, severity=severity).urgency is urgency  # type: ignore[call-arg,attr-defined]


def test_a_priority_that_is_none_is_refused() -> None:
    request = ask(hints=completions_pb2.RoutingHints(priority=9))  # type: ignore[arg-type] # what a newer client may send

    with pytest.raises(InvalidRequestError) as caught:
        ProtobufForm(request).measure()

    assert str(caught.value) == "hints.priority is 9, which is no priority: give LOW, NORMAL or HIGH"


@pytest.mark.parametrize(("n", "answers"), [(b"3", 3), (b"null", 1), (b'"many"', 1), (b"-2", 1), (b"99999999", 1)])
def test_how_many_answers_are_asked_for(n: bytes, answers: int) -> None:
    assert ChatForm(BODY[:-1] + b', "n": ' + n + b"}", {}).measure().answers == answers


def test_the_most_that_a_call_may_be_charged_for() -> None:
    wanted = Features(request_bytes=9, estimated_input_tokens=100, answers=3, max_output_tokens=50)
    mini = model("mini", max_output_tokens=1000)

    assert most_usage(mini, wanted, policy_cap=40) == Usage(input_tokens=100, output_tokens=120)
    assert most_usage(mini, features(tokens=7), policy_cap=None) == Usage(input_tokens=7, output_tokens=1000)
    embeds = features(tokens=7, needs=frozenset({Feature.EMBEDDINGS}))
    assert most_usage(mini, embeds, policy_cap=40) == Usage(input_tokens=7, output_tokens=0)
