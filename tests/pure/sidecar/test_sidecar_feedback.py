"""Feedback: the answers that can be labelled, how sessions stand by that, and what calibration counts of it."""

from collections import Counter
from dataclasses import replace

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from pointsman_sidecar.completing.feedback import Hearing
from pointsman_sidecar.contract import json
from pointsman_sidecar.contract.decisions import Progress
from pointsman_sidecar.contract.errors import CompletionError
from pointsman_sidecar.contract.feedbacks import feedback_of_json, read_feedback
from pointsman_sidecar.contract.requests import InvalidRequestError
from pointsman_sidecar.routing.plan import plan
from pointsman_sidecar.telemetry.metrics import Metrics
from pointsman_sidecar.telemetry.observer import Observer
from pointsman_sidecar.telemetry.spans import NoSpans
from pointsman_sidecar.tuning.counting import Counting
from pointsman_sidecar.tuning.feedback import WHOLE, Answers, Feedback, Given, Heard, Label
from pointsman_sidecar.tuning.labels import ArmLabels, ModelLabels
from pointsman_sidecar.tuning.sessions import Sessions
from support.policies import features, model, policy

ANSWER = Given(policy="shop/support", policy_uid="u-1", route="legal", model="mini", session="s-1", confidence=0.93)
GOOD, BAD, FALSE = Feedback(Label.GOOD), Feedback(Label.BAD), Feedback(Label.HALLUCINATION)
FEEDBACK = st.builds(
    Feedback, st.sampled_from(Label), st.one_of(st.none(), st.integers(0, WHOLE).map(lambda n: n / WHOLE))
)


def heard(answers: Answers, decision_id: str, feedback: Feedback, now: float = 1) -> Heard:
    """What is heard of an answer that is known."""
    found = answers.label(decision_id, feedback, now)
    assert found is not None
    return found


def test_a_label_says_what_was_said_before_it() -> None:
    answers = Answers()
    answers.gave("a", ANSWER, 0)

    assert heard(answers, "a", BAD) == Heard(given=ANSWER, feedback=BAD, before=None, wrong=WHOLE, is_first=True)
    assert heard(answers, "a", BAD) == Heard(given=ANSWER, feedback=BAD, before=BAD)
    assert heard(answers, "a", GOOD) == Heard(given=ANSWER, feedback=GOOD, before=BAD, right=WHOLE, is_first=True)
    assert not heard(answers, "a", FALSE).is_first
    assert answers.label("b", GOOD, 1) is None


def test_an_answer_that_is_told_of_twice_keeps_its_label() -> None:
    answers = Answers()
    answers.gave("a", ANSWER, 0)
    heard(answers, "a", BAD)
    answers.gave("a", replace(ANSWER, model="flagship"), 2)

    assert heard(answers, "a", GOOD).before == BAD


def test_the_oldest_and_those_of_an_hour_ago_are_forgotten() -> None:
    answers = Answers(most=2)
    for at, name in enumerate("abc"):
        answers.gave(name, ANSWER, at)

    assert answers.label("a", BAD, 3) is None
    assert answers.label("b", BAD, 3) is not None
    assert answers.label("b", GOOD, 3602) is None
    assert answers.label("c", GOOD, 3602) is not None


@given(st.lists(st.tuples(st.sampled_from("abcdef"), FEEDBACK), max_size=40))
def test_a_session_has_as_many_as_its_answers_are_labelled_so_now(said: list[tuple[str, Feedback]]) -> None:
    sessions = {"a": "s-1", "b": "s-1", "c": "s-1", "d": "s-2", "e": "s-2", "f": ""}
    answers = Answers()
    for name, session in sessions.items():
        answers.gave(name, replace(ANSWER, session=session), 0)
    for name, feedback in said:
        answers.label(name, feedback, 1)

    last = dict(said)
    expected = Counter(sessions[name] for name, feedback in last.items() if feedback.label is not Label.GOOD)
    assert {each: answers.negative(each, 2) for each in ("s-1", "s-2", "")} == {
        "s-1": expected["s-1"],
        "s-2": expected["s-2"],
        "": 0,
    }


def test_a_session_is_forgotten_an_hour_after_its_last_negative_label() -> None:
    answers = Answers()
    for name in ("a", "b"):
        answers.gave(name, ANSWER, 3000)
    heard(answers, "a", BAD, 3000)
    heard(answers, "b", FALSE, 6000)

    assert answers.negative("s-1", 9600) == 2
    assert answers.negative("s-1", 9601) == 0


def test_sessions_make_room_and_who_counted_in_one_that_went_takes_nothing_off_a_later_one() -> None:
    sessions = Sessions(most=1)
    gone = sessions.add("s-1", 0)
    sessions.add("s-2", 1)
    assert (sessions.negative("s-1", 1), sessions.negative("s-2", 1)) == (0, 1)

    sessions.add("s-1", 2)
    gone.negative -= 1
    assert sessions.negative("s-1", 2) == 1


@given(st.lists(FEEDBACK, min_size=1, max_size=20))
def test_an_answer_counts_once_as_right_and_once_as_wrong_at_most(said: list[Feedback]) -> None:
    answers = Answers()
    answers.gave("a", ANSWER, 0)
    found = [heard(answers, "a", each) for each in said]

    right, wrong = sum(each.right for each in found), sum(each.wrong for each in found)
    assert min(each.right for each in found) >= 0
    assert min(each.wrong for each in found) >= 0
    assert right == max(each.right for each in said)
    assert wrong == WHOLE - min(each.right for each in said)
    if len(set(said)) == 1:
        assert right + wrong == WHOLE


@given(st.lists(FEEDBACK, max_size=60))
def test_calibration_counts_whole_labels_and_forgets_no_share(said: list[Feedback]) -> None:
    counting = Counting(new_name=lambda: "p", now=lambda: 0.0)
    tally = ModelLabels(counting)
    answers = Answers()
    for at, feedback in enumerate(said):
        answers.gave(str(at), ANSWER, 0)
        tally.hear(heard(answers, str(at), feedback))

    right = sum(each.right for each in said)
    counted = counting.under("u-1").labels.get("mini")
    assert (0 if counted is None else sum(counted.right)) == right // WHOLE
    assert (0 if counted is None else sum(counted.wrong)) == (len(said) * WHOLE - right) // WHOLE
    if counted is not None:
        assert counted.right[46] == sum(counted.right)


def test_an_arm_has_each_answer_once_as_good_and_once_as_bad_at_most() -> None:
    counting = Counting(new_name=lambda: "p", now=lambda: 0.0)
    answers, arms = Answers(), ArmLabels(counting)
    answers.gave("a", replace(ANSWER, split="legal@1"), 0)
    answers.gave("b", replace(ANSWER, split="legal@1"), 0)
    answers.gave("c", ANSWER, 0)
    for name, feedback in (("a", BAD), ("a", FALSE), ("a", GOOD), ("a", BAD), ("b", GOOD), ("c", BAD)):
        arms.hear(heard(answers, name, feedback))

    (tally,) = counting.under("u-1").arms
    assert (tally.split, tally.model, tally.labels, tally.negative) == ("legal@1", "mini", 3, 1)


def test_an_answer_that_was_not_judged_is_not_counted_for_calibration() -> None:
    counting = Counting(new_name=lambda: "p", now=lambda: 0.0)
    unjudged = replace(ANSWER, confidence=None)
    ModelLabels(counting).hear(Heard(given=unjudged, feedback=GOOD, right=WHOLE))

    assert counting.known("u-1") is None


@pytest.mark.parametrize(
    ("said", "feedback"),
    [
        ({"label": "hallucination"}, FALSE),
        ({"label": "good", "score": None}, GOOD),
        ({"score": 0.5}, Feedback(Label.GOOD, 0.5)),
        ({"score": 0.49}, Feedback(Label.BAD, 0.49)),
        ({"score": 1}, Feedback(Label.GOOD, 1.0)),
        ({"label": "bad", "score": 0.7}, Feedback(Label.BAD, 0.7)),
    ],
)
def test_a_label_a_score_or_both(said: dict[str, object], feedback: Feedback) -> None:
    assert read_feedback(feedback_of_json(json.encode({"decision_id": "d-1", **said}))) == feedback


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ("{", "body is not JSON: "),
        ("[]", "body is not a JSON object"),
        ("{}", "decision_id is empty: give the id of the answer's decision; label is not set: give good, bad or"),
        ('{"decision_id": "d", "label": "meh"}', "label is 'meh': give good, bad or hallucination"),
        ('{"decision_id": "d", "label": ["bad"]}', "label is no text: give good, bad or hallucination"),
        (
            '{"decision_id": "d", "lable": "bad"}',
            "lable is nothing that feedback has: it has decision_id, label, score",
        ),
        ('{"decision_id": 7, "label": "bad"}', "decision_id is no text: give the id of the answer's decision"),
        ('{"decision_id": "d", "score": "0.5"}', "score is no number: give one from 0 to 1"),
        ('{"decision_id": "d", "score": true}', "score is no number: give one from 0 to 1"),
        ('{"decision_id": "d", "score": 1.5}', "score is 1.5: give a number from 0 to 1"),
        ('{"decision_id": "d", "score": 1' + "0" * 400 + "}", ""),
        ('{"decision_id": "' + "d" * 513 + '", "label": "bad"}', "decision_id is longer than 512 characters"),
    ],
)
def test_what_is_no_feedback_is_refused_with_a_sentence(said: str, why: str) -> None:
    with pytest.raises(InvalidRequestError) as caught:
        read_feedback(feedback_of_json(said.encode()))

    assert str(caught.value).startswith(why)


@given(st.one_of(st.binary(max_size=60), st.recursive(st.none() | st.text(max_size=5), st.lists).map(json.encode)))
def test_any_bytes_are_feedback_or_refused(raw: bytes) -> None:
    with pytest.raises(InvalidRequestError):
        read_feedback(feedback_of_json(raw))


def test_who_listens_is_told_once_of_each_label_and_of_what_it_replaces() -> None:
    log = structlog.wrap_logger(None, processors=[structlog.testing.LogCapture()])
    observer = Observer(spans=NoSpans(), metrics=Metrics(), log=log, clock=lambda: 0.0)
    hearing = Hearing(counting=Counting(new_name=lambda: "p", now=lambda: 0.0), observer=observer, clock=lambda: 0.0)
    told: list[Heard] = []
    hearing.listen(told.append)
    made = policy(model("mini"))
    planned = plan(made, features(), request_id="d-1")
    progress = Progress(id="d-1", policy=made, plan=planned)
    hearing.gave(progress, "s-1")
    with pytest.raises(CompletionError):
        hearing.hear("d-1", BAD)
    progress.answering = planned.steps[0]
    hearing.gave(progress, "s-1")
    for feedback in (BAD, BAD, FALSE):
        hearing.hear("d-1", feedback)

    assert [(each.given.route, each.given.model, each.feedback, each.before) for each in told] == [
        ("", "mini", BAD, None),
        ("", "mini", FALSE, BAD),
    ]
    assert hearing.negative("s-1") == 1
