"""What is seen of an answer, and whether a stronger model is asked."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pointsman_sidecar.contract.answers import Gathered, looked_at
from pointsman_sidecar.contract.json_schemas import mismatch
from pointsman_sidecar.contract.log_probabilities import without_log_probabilities
from pointsman_sidecar.routing.escalation import Answer, Ending, concerned, escalated, finding
from pointsman_sidecar.routing.plan import Complexity, PlanError, Reason, Step, plan
from pointsman_sidecar.routing.policy import AnswerFault, Escalation, Feature, Policy
from support.policies import features, model, policy, route

EVERYTHING = Escalation(model="flagship", on=frozenset(AnswerFault))
PLAIN = Answer(text="It is 42.", ending=Ending.COMPLETE)


def cheap_and_dear(**said: object) -> Policy:
    """A policy with both, which looks at everything."""
    return policy(model("mini"), model("flagship", costs="10"), escalation=EVERYTHING, **said)  # type: ignore[arg-type]


def found(answer: Answer, *faults: AnswerFault) -> str | None:
    """What is found in an answer, where one looks for these or for all."""
    rule = Escalation(model="flagship", on=frozenset(faults) or EVERYTHING.on)
    seen = finding(rule, (answer,))
    return None if seen is None else seen.reason.name


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        pytest.param(PLAIN, None, id="a plain answer"),
        pytest.param(Answer(text="", ending=Ending.COMPLETE), None, id="an empty one"),
        pytest.param(Answer(text="x", ending=Ending.CUT), "TRUNCATION", id="one that is cut off"),
        pytest.param(Answer(text="", ending=Ending.FILTERED), "REFUSAL", id="one that the provider took out"),
        pytest.param(Answer(text="", ending=Ending.COMPLETE, refuses=True), "REFUSAL", id="the API's own refusal"),
        pytest.param(
            Answer(text="I\u2019m sorry,  but I can\u2019t help with that.", ending=Ending.COMPLETE),
            "REFUSAL",
            id="a refusal in words, with typographic apostrophes",
        ),
        pytest.param(
            Answer(text="Es tut mir leid, aber ich kann dabei nicht helfen.", ending=Ending.COMPLETE),
            "REFUSAL",
            id="a refusal in German",
        ),
        pytest.param(
            Answer(text="The clerk said: \"I'm sorry, but I can't help with that.\"", ending=Ending.COMPLETE),
            None,
            id="a refusal that is quoted",
        ),
        pytest.param(
            Answer(text="I cannot provide", ending=Ending.COMPLETE, calls=True), None, id="words before a tool's call"
        ),
        pytest.param(
            Answer(text="{", ending=Ending.COMPLETE, wrong_json="it is no JSON"), "INVALID_OUTPUT", id="no JSON"
        ),
        pytest.param(
            Answer(text="{", ending=Ending.CUT, wrong_json="it is no JSON"), "TRUNCATION", id="half of some JSON"
        ),
    ],
)
def test_what_is_found_in_an_answer(answer: Answer, expected: str | None) -> None:
    assert found(answer) == expected


def test_only_what_the_policy_names_is_looked_for() -> None:
    assert found(Answer(text="x", ending=Ending.CUT), AnswerFault.REFUSAL, AnswerFault.INVALID_OUTPUT) is None


def test_of_several_answers_one_that_is_wrong_is_enough() -> None:
    cut = Answer(text="x", ending=Ending.CUT)

    assert finding(EVERYTHING, (PLAIN, cut)) is not None


@pytest.mark.parametrize(
    ("made_of", "wants", "answered"),
    [
        pytest.param(policy(model("mini"), model("flagship", costs="10")), {}, "mini", id="no rule"),
        pytest.param(cheap_and_dear(), {}, "flagship", id="the stronger model's own answer"),
        pytest.param(cheap_and_dear(allow_pinning=True), {"model": "mini"}, "mini", id="a pinned model"),
        pytest.param(
            cheap_and_dear(routes=(route("all", arms={"mini": 1}, protected=True),)), {}, "mini", id="a protected route"
        ),
    ],
)
def test_whose_answers_are_used_whatever_they_are(made_of: Policy, wants: dict[str, str], answered: str) -> None:
    wanted = features(**wants)  # type: ignore[arg-type]
    planned = plan(made_of, wanted, request_id="r")

    assert concerned(made_of, wanted, planned, made_of.models[answered]) is None


def test_a_cheap_models_answer_is_looked_at_also_where_a_route_chose_it() -> None:
    made_of = cheap_and_dear(routes=(route("all", arms={"mini": 1}),))
    planned = plan(made_of, features(), request_id="r")

    assert concerned(made_of, features(), planned, made_of.models["mini"]) is EVERYTHING


def test_a_stronger_model_that_cannot_serve_the_request_is_not_asked() -> None:
    made_of = policy(model("mini"), model("flagship", costs="10", features=frozenset()), escalation=EVERYTHING)
    seen = finding(EVERYTHING, (Answer(text="x", ending=Ending.CUT),))
    assert seen is not None

    asked = escalated(made_of, features(), EVERYTHING, seen, first=made_of.models["mini"])
    refused = escalated(
        made_of, features(needs=frozenset({Feature.TOOLS})), EVERYTHING, seen, first=made_of.models["mini"]
    )

    assert isinstance(asked, Step)
    assert (asked.model.name, asked.reason) == ("flagship", Reason.TRUNCATION)
    assert asked.message == "mini answered, but its answer was cut off at the longest that is allowed"
    assert refused == "flagship cannot serve the request: it does not support tools"


answers = st.builds(
    Answer,
    text=st.text(max_size=300) | st.just("I'm sorry, but I can't do that"),
    ending=st.sampled_from(Ending) | st.none(),
    refuses=st.booleans(),
    calls=st.booleans(),
    wrong_json=st.sampled_from(["", "it is no JSON"]),
)


@given(answers=st.lists(answers, max_size=4), faults=st.frozensets(st.sampled_from(AnswerFault)))
def test_what_is_found_is_what_is_looked_for_and_never_holds_text_of_the_answer(
    answers: list[Answer], faults: frozenset[AnswerFault]
) -> None:
    seen = finding(Escalation(model="flagship", on=faults), answers)

    assert seen == finding(Escalation(model="flagship", on=faults), answers)
    if seen is not None:
        assert seen.reason.name in {fault.name for fault in faults}
        assert all(len(answer.text) < 12 or answer.text not in seen.why for answer in answers)


def test_nothing_is_found_in_answers_that_cannot_be_made_out() -> None:
    assert looked_at(b"{", sent=b"{}", judges=True) == ()
    assert looked_at(b'{"choices": [{"message": {"content": [1]}}]}', sent=b"{}", judges=True) == ()


SCHEMA = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "maxLength": 5},
        "kind": {"enum": ["a", "b"]},
        "age": {"type": ["integer", "null"], "minimum": 0},
        "tags": {"type": "array", "items": {"$ref": "#/$defs/tag"}, "maxItems": 2},
        "who": {"anyOf": [{"type": "string"}, {"type": "object", "required": ["id"]}]},
    },
    "required": ["name"],
    "additionalProperties": False,
    "$defs": {"tag": {"const": "x"}},
}


@pytest.mark.parametrize(
    ("value", "wrong"),
    [
        pytest.param({"name": "Ada"}, None, id="right"),
        pytest.param({"name": "Ada", "age": 3.0, "tags": ["x"], "who": {"id": 1}, "kind": "a"}, None, id="all of it"),
        pytest.param({"name": "Ada", "age": None}, None, id="null where it may be"),
        pytest.param([], "another type", id="another type"),
        pytest.param({}, "missing", id="a missing member"),
        pytest.param({"name": "Ada", "more": 1}, "does not allow", id="one too many"),
        pytest.param({"name": "Ada Lovelace"}, "longer", id="too long"),
        pytest.param({"name": "Ada", "kind": "c"}, "none of those", id="no value of the enum"),
        pytest.param({"name": "Ada", "age": True}, "another type", id="true is no number"),
        pytest.param({"name": "Ada", "age": -1}, "bounds", id="out of bounds"),
        pytest.param({"name": "Ada", "age": 1.5}, "another type", id="a fraction is no integer"),
        pytest.param({"name": "Ada", "tags": ["y"]}, "none of those", id="behind a reference"),
        pytest.param({"name": "Ada", "tags": ["x", "x", "x"]}, "longer", id="too many items"),
        pytest.param({"name": "Ada", "who": {}}, "none of those", id="none of several"),
    ],
)
def test_an_answer_is_held_against_the_schema(value: object, wrong: str | None) -> None:
    sent = json.dumps({"response_format": {"type": "json_schema", "json_schema": {"name": "n", "schema": SCHEMA}}})
    raw = json.dumps({"choices": [{"message": {"content": json.dumps(value)}, "finish_reason": "stop"}]})

    [answer] = looked_at(raw.encode(), sent=sent.encode(), judges=False)

    assert (wrong or "") in answer.wrong_json
    assert bool(answer.wrong_json) is bool(wrong)


@pytest.mark.parametrize(
    "schema",
    [
        pytest.param({"$ref": "#"}, id="one that is its own reference"),
        pytest.param({"type": "object", "minProperties": 3}, id="a word that is not understood"),
        pytest.param({"required": 3}, id="no schema"),
        pytest.param({"allOf": [{"$ref": "#"}, {"$ref": "#"}]}, id="one that doubles at each look"),
    ],
)
def test_no_answer_is_wrong_for_a_schema_that_is_not_understood(schema: dict[str, object]) -> None:
    assert mismatch({"a": 1}, schema) is None


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=10,
)


@given(value=json_values)
def test_a_value_is_of_the_schema_that_names_it(value: object) -> None:
    assert mismatch(value, {"const": value}) is None
    assert mismatch(value, {"anyOf": [{"type": "string", "minLength": 99}, {"enum": [value]}]}) is None


@given(value=json_values, schema=json_values)
def test_no_schema_makes_the_checker_fail(value: object, schema: object) -> None:
    if isinstance(schema, dict):
        mismatch(value, schema)


pieces = st.fixed_dictionaries(
    {"content": st.text(max_size=12) | st.none(), "refusal": st.text(max_size=3) | st.none()},
)


@given(deltas=st.lists(pieces, max_size=8), ending=st.sampled_from(["stop", "length", "content_filter"]))
def test_a_stream_that_has_ended_is_looked_at_as_the_whole_answer_is(
    deltas: list[dict[str, str | None]], ending: str
) -> None:
    gathered = Gathered()
    for delta in deltas:
        gathered.feed(json.dumps({"choices": [{"index": 0, "delta": delta}]}).encode())
    gathered.feed(json.dumps({"choices": [{"index": 0, "delta": {}, "finish_reason": ending}]}).encode())
    message = {
        "content": "".join(delta["content"] or "" for delta in deltas),
        "refusal": "".join(delta["refusal"] or "" for delta in deltas),
    }
    whole = json.dumps({"choices": [{"message": message, "finish_reason": ending}]}).encode()
    sent = b'{"messages": [{"role": "user", "content": "What is 2 + 2?"}], "response_format": {"type": "json_object"}}'

    assert gathered.answers(sent=sent, judges=True) == looked_at(whole, sent=sent, judges=True)


@given(raw=st.binary(max_size=60))
def test_pieces_that_cannot_be_made_out_tell_nothing(raw: bytes) -> None:
    gathered = Gathered()

    gathered.feed(raw)
    gathered.feed(b'{"choices": [{"delta": {"content": 3}}]}')

    assert gathered.answers(sent=b"{}", judges=True) == ()


@given(content=st.text(max_size=40), logprob=st.floats(-9, 0))
def test_taking_log_probabilities_out_leaves_all_else(content: str, logprob: float) -> None:
    choice = {"index": 0, "message": {"content": content}, "logprobs": None, "finish_reason": "stop"}
    plain = json.dumps({"id": "c-1", "choices": [choice], "usage": {"prompt_tokens": 1}}, separators=(",", ":"))
    token = {"token": "x", "logprob": logprob}
    with_them = json.dumps(
        {"id": "c-1", "choices": [choice | {"logprobs": {"content": [token]}}], "usage": {"prompt_tokens": 1}}
    )

    assert json.loads(without_log_probabilities(with_them.encode())) == json.loads(plain)
    assert without_log_probabilities(plain.encode()) == plain.encode()


scores = st.floats(0, 1)


@given(score=scores, threshold=scores, hindrance=st.sampled_from(["", "the daily limit of escalations is reached"]))
def test_a_complex_request_that_no_route_matched_goes_up_unless_something_hinders_it(
    score: float, threshold: float, hindrance: str
) -> None:
    made_of = cheap_and_dear(fallbacks=("mini",))
    complexity = Complexity(score=score, threshold=threshold, hindrance=hindrance)

    planned = plan(made_of, features(), request_id="r", complexity=lambda: complexity)

    goes_up = score >= threshold and not hindrance
    assert [step.model.name for step in planned.steps] == (["flagship", "mini"] if goes_up else ["mini"])
    assert (planned.steps[0].reason is Reason.COMPLEXITY) is goes_up
    if score >= threshold and hindrance:
        assert planned.steps[0].message.endswith(f"but {hindrance}")
    # The same always gives the same.
    assert planned.steps == plan(made_of, features(), request_id="other", complexity=lambda: complexity).steps


@pytest.mark.parametrize(
    ("made_of", "wants", "expected"),
    [
        pytest.param(cheap_and_dear(routes=(route("all", arms={"mini": 1}),)), {}, Reason.ROUTE, id="a route"),
        pytest.param(cheap_and_dear(allow_pinning=True), {"model": "mini"}, Reason.PINNED, id="a pinned model"),
        pytest.param(policy(model("mini"), model("flagship", costs="10")), {}, Reason.DEFAULT, id="no escalation"),
    ],
)
def test_complexity_moves_only_what_the_policy_leaves_to_it(
    made_of: Policy, wants: dict[str, str], expected: Reason
) -> None:
    complexity = Complexity(score=1.0, threshold=0.0)

    planned = plan(made_of, features(**wants), request_id="r", complexity=lambda: complexity)  # type: ignore[arg-type]

    assert planned.steps[0].reason is expected


@given(
    routed=st.booleans(),
    named=st.sampled_from(["", "mini", "flagship"]),
    pins=st.booleans(),
    wish=st.booleans(),
    embeds=st.booleans(),
    known=st.none() | st.builds(Complexity, score=scores, threshold=scores, hindrance=st.sampled_from(["", "no"])),
)
def test_a_request_is_scored_once_and_only_where_that_can_change_its_model(
    *, routed: bool, named: str, pins: bool, wish: bool, embeds: bool, known: Complexity | None
) -> None:
    made_of = policy(
        model("mini", features=frozenset(Feature)),
        model("flagship", costs="10"),
        routes=(route("all", arms={"mini": 1}),) if routed else (),
        escalation=EVERYTHING,
        allow_pinning=pins,
    )
    wants = features(model=named, is_wish=wish, needs=frozenset({Feature.EMBEDDINGS} if embeds else ()))
    asked: list[Complexity | None] = []

    def scored() -> Complexity | None:
        asked.append(known)
        return known

    try:
        planned = plan(made_of, wants, request_id="r", complexity=scored)
    except PlanError:
        # It is refused whatever its score.
        assert not asked
        return

    assert len(asked) <= 1
    assert planned.complexity is (known if asked else None)
    decided = {
        plan(made_of, wants, request_id="r", complexity=lambda: each).steps  # noqa: B023 - called at once
        for each in (None, Complexity(score=1, threshold=0), Complexity(score=0, threshold=1))
    }
    # Scored exactly where one score and another make a difference; and nothing else of the plan hangs on it.
    assert bool(asked) is (len(decided) > 1)


def test_where_the_stronger_model_cannot_serve_a_complex_request_the_default_does_and_says_why() -> None:
    made_of = policy(model("mini"), model("flagship", costs="10", features=frozenset()), escalation=EVERYTHING)
    wants = features(needs=frozenset({Feature.TOOLS}))

    planned = plan(made_of, wants, request_id="r", complexity=lambda: Complexity(score=0.9, threshold=0.8))

    assert [(step.model.name, step.reason) for step in planned.steps] == [("mini", Reason.CAPABILITY)]
    assert "flagship was chosen (the request's complexity is 0.90, at or above 0.8)" in planned.steps[0].message
