"""Labels for answers, as an app or a reviewer gives them, and what comes of them."""

from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import grpc
import pytest

from pointsman_api.v1 import completions_pb2, snapshot_pb2
from pointsman_stub import Fault, StubProvider
from support.answers import refusal, streamed
from support.completions import ask
from support.sidecars import Sidecar, running_sidecar, sample
from support.snapshots import snapshot

KEY = "sk-of-these-tests"
GOOD, BAD = completions_pb2.FEEDBACK_LABEL_GOOD, completions_pb2.FEEDBACK_LABEL_BAD
HALLUCINATION = completions_pb2.FEEDBACK_LABEL_HALLUCINATION
SESSION = completions_pb2.RoutingHints(session="s-1")


def content(base_url: str) -> snapshot_pb2.Snapshot:
    """A policy that trusts answers however little, and sends sessions with two negative labels to the flagship."""
    unhappy = snapshot_pb2.Matcher(negative_feedback=snapshot_pb2.NegativeFeedbackMatcher(at_least=2))
    route = snapshot_pb2.Route(
        name="unhappy",
        when=snapshot_pb2.Condition(all=[unhappy]),
        arms=[snapshot_pb2.Arm(model="flagship", weight=1)],
    )
    rule = snapshot_pb2.Escalation(model="flagship", confidence_below="0.0001")
    return snapshot(base_url=base_url, routes=[route], escalation=rule, fallbacks=())


@pytest.fixture
async def labelled(stub: StubProvider) -> AsyncIterator[Sidecar]:
    """A sidecar under this policy."""
    async with running_sidecar(content=content(stub.base_url), access={"openai": KEY}) as running:
        yield running


def saying(decision_id: str, label: completions_pb2.FeedbackLabel.ValueType, **more: Any) -> Any:
    """The request."""
    return completions_pb2.GiveFeedbackRequest(decision_id=decision_id, label=label, **more)


def counted(sidecar: Sidecar, label: str, *, withdrawn: bool = False) -> float | None:
    """How often a label was given to answers of the cheap model that no route chose."""
    name = "pointsman_feedback_withdrawn_total" if withdrawn else "pointsman_feedback_total"
    return sample(sidecar.metrics.registry, name, policy="shop/support", route="", model="mini", label=label)


async def test_a_label_is_counted_once_and_another_takes_its_place(labelled: Sidecar) -> None:
    answer = (await labelled.app.Complete(ask())).decision.id
    for _ in range(2):
        told = await labelled.app.GiveFeedback(saying(answer, BAD))
    await labelled.app.GiveFeedback(saying(answer, GOOD))

    assert told.label == BAD
    assert (counted(labelled, "bad"), counted(labelled, "bad", withdrawn=True)) == (1, 1)
    assert (counted(labelled, "good"), counted(labelled, "good", withdrawn=True)) == (1, None)
    lines = [line for line in labelled.logged if line["event"] == "feedback"]
    assert [(line["decision_id"], line["label"], line.get("before")) for line in lines] == [
        (answer, "bad", None),
        (answer, "good", "bad"),
    ]


async def test_the_answer_of_a_stream_can_be_labelled_once_its_end_was_read(labelled: Sidecar) -> None:
    events, _ = await streamed(labelled.app.CompleteStream(ask()))
    await labelled.app.GiveFeedback(saying(events[-1].finished.id, HALLUCINATION))

    assert counted(labelled, "hallucination") == 1


async def test_a_stream_that_broke_off_can_be_labelled_too(labelled: Sidecar, stub: StubProvider) -> None:
    stub.set_faults(Fault(model="gpt-4o-mini", cut=4))
    events, told = await streamed(labelled.app.CompleteStream(ask()))
    assert told is not None
    await labelled.app.GiveFeedback(saying(events[0].started.id, BAD))

    assert counted(labelled, "bad") == 1


async def test_what_was_never_given_is_not_found(labelled: Sidecar) -> None:
    explained = (await labelled.app.Explain(ask())).decision.id
    told = await refusal(labelled.app.GiveFeedback(saying(explained, BAD)))

    assert (told.code, told.reason) == (grpc.StatusCode.NOT_FOUND, "UNKNOWN_DECISION")
    assert told.message == (
        "this sidecar knows no answer by that decision id: it keeps the last 10,000 that it gave, each for 60 minutes;"
        " ask the sidecar that gave it"
    )


async def test_feedback_that_says_nothing_is_refused(labelled: Sidecar) -> None:
    told = await refusal(labelled.app.GiveFeedback(completions_pb2.GiveFeedbackRequest(score=float("nan"))))

    assert (told.code, told.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "MALFORMED_REQUEST")
    assert told.violations == (
        ("decision_id", "is empty: give the id of the answer's decision"),
        ("score", "is nan: give a number from 0 to 1"),
    )


async def test_a_session_whose_answers_will_not_do_goes_to_the_flagship_and_back_when_that_is_taken_back(
    labelled: Sidecar,
) -> None:
    answers = [(await labelled.app.Complete(ask(hints=SESSION))).decision.id for _ in range(2)]
    await labelled.app.GiveFeedback(saying(answers[0], BAD))
    before = await labelled.app.Explain(ask(hints=SESSION))
    await labelled.app.GiveFeedback(saying(answers[1], HALLUCINATION))

    explained = await labelled.app.Explain(ask(hints=SESSION))
    served = (await labelled.app.Complete(ask(hints=SESSION))).decision
    other = (await labelled.app.Complete(ask(hints=completions_pb2.RoutingHints(session="s-2")))).decision
    await labelled.app.GiveFeedback(saying(answers[0], GOOD))
    after = (await labelled.app.Complete(ask(hints=SESSION))).decision

    assert before.routes[0].message == "not at least 2 negative labels in the session (1 known)"
    assert explained.routes[0].message == "at least 2 negative labels in the session (2 known)"
    assert (explained.decision.route, served.route, served.model) == ("unhappy", "unhappy", "flagship")
    assert (other.route, after.route) == ("", "")


async def test_an_expression_may_read_the_count(labelled: Sidecar, stub: StubProvider) -> None:
    changed = content(stub.base_url)
    changed.routes[0].when.all[0].expression = "request.negativeFeedback > 0 && request.session != ''"
    labelled.apply(changed)
    answer = await labelled.app.Complete(ask(hints=SESSION))
    await labelled.app.GiveFeedback(saying(answer.decision.id, BAD))

    explained = await labelled.app.Explain(ask(hints=SESSION))

    assert (answer.decision.route, explained.decision.route) == ("", "unhappy")
    assert explained.routes[0].values["negativeFeedback"] == "1"


async def test_calibration_counts_labels_by_what_the_judge_said(labelled: Sidecar) -> None:
    for score in (0.25, 0.75, 1.0):
        decision = (await labelled.app.Complete(ask())).decision
        await labelled.app.GiveFeedback(completions_pb2.GiveFeedbackRequest(decision_id=decision.id, score=score))
    judged = decision.attempts[0].confidence

    counts = labelled.counting.known(decision.policy.uid)
    assert counts is not None
    assert [(at, count) for at, count in enumerate(counts.labels["mini"].right) if count] == [(int(judged * 50), 2)]
    assert [(at, count) for at, count in enumerate(counts.labels["mini"].wrong) if count] == [(int(judged * 50), 1)]


async def test_over_http_an_answer_is_labelled_by_the_id_in_its_header(labelled: Sidecar) -> None:
    body = {"messages": [{"role": "user", "content": "Hello"}]}
    async with aiohttp.ClientSession() as http:
        answer = await http.post(f"{labelled.http_url}/chat/completions", json=body)
        said = {"decision_id": answer.headers["x-pointsman-decision-id"], "score": 0.2}
        told = await http.post(f"{labelled.http_url}/pointsman/feedback", json=said)

        assert (told.status, await told.json()) == (200, {"object": "feedback", "label": "bad"})
    assert counted(labelled, "bad") == 1


@pytest.mark.parametrize(
    ("sent", "status", "error"),
    [
        (
            {"json": {"decision_id": "d", "label": "bad"}},
            404,
            {"type": "invalid_request_error", "param": "decision_id", "code": "decision_not_found"},
        ),
        (
            {"json": {"decision_id": "d", "label": "meh"}},
            400,
            {"type": "invalid_request_error", "param": "label", "code": "invalid_request"},
        ),
        (
            {"json": {"decision_id": "d", "label": "bad", "comment": "x" * 20_000}},
            413,
            {"type": "invalid_request_error", "param": None, "code": "request_too_large"},
        ),
        (
            {"json": {"decision_id": "d", "label": "bad"}, "headers": {"x-pointsman-sesion": "s"}},
            400,
            {"type": "invalid_request_error", "param": "x-pointsman-sesion", "code": "invalid_request"},
        ),
        (
            {"data": "label=bad"},
            415,
            {"type": "invalid_request_error", "param": None, "code": "invalid_request"},
        ),
    ],
)
async def test_over_http_what_is_wrong_is_said_in_openais_shape(
    labelled: Sidecar, sent: dict[str, Any], status: int, error: dict[str, Any]
) -> None:
    async with (
        aiohttp.ClientSession() as http,
        http.post(f"{labelled.http_url}/pointsman/feedback", **sent) as answer,
    ):
        told = (await answer.json())["error"]

    assert answer.status == status
    assert {name: told[name] for name in error} == error
    assert told["message"]
