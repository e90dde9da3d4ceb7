"""Each kind of rule, from the policy as it is written to the verdict on a request and its sentence."""

from typing import Any

import pytest

from pointsman.explaining import explain
from pointsman.requests import Options, build, headers_of, moment
from pointsman.worlds import Pod
from pointsman_api.v1 import completions_pb2, decision_pb2, types_pb2
from pure.cli.resources import Json, offered, policy, provider, world

PROVIDER = provider(
    models=[{**offered(name), "features": ["Tools", "JSONSchema"]} for name in ("gpt-4o-mini", "gpt-4o")]
)


def answered(
    when: Json,
    *,
    prompt: str = "Hello",
    header: str = "",
    at: str = "2026-03-02T12:00",
    risk: Json | None = None,
    negative: int = 0,
    **said: Any,
) -> completions_pb2.ExplainResponse:
    spec: Json = {"routes": [{"name": "r", "when": when, "model": "flagship"}]}
    if risk is not None:
        spec["risk"] = risk
    return explain(
        build(Options(prompt=prompt, **said)),
        world=world(PROVIDER, policy(**spec)),
        pod=Pod(namespace="shop", name="standalone", labels={}),
        new_id=lambda: "d-1",
        now=moment(at),
        headers=headers_of([header] if header else []),
        negative_feedback=negative,
    )


TIER = {"header": {"name": "x-tier", "in": ["gold", "silver"]}}
EXAMPLE = {"user": {"endsWith": "@example.com"}}
NIGHT = {"time": {"days": ["Friday"], "from": "18:00", "to": "06:00", "timeZone": "Europe/Berlin"}}
REFUND = {"keywords": {"in": ["refund", "power of attorn*", "C++", "返金"]}}
LAW = {"domain": {"in": ["Legal", "Medical"]}}
CODE, MATHS = {"content": {"in": ["Code"]}}, {"content": {"in": ["Maths"]}}
GERMAN = {"language": {"in": ["de", "fr"]}}
UNHAPPY = {"negativeFeedback": {"atLeast": 2}}
UNHAPPY_AT_ONCE = {"any": [{"negativeFeedback": {"atLeast": 1}}]}
TOPIC = {"expression": "request.metadata['topic'] == 'legal'"}


@pytest.mark.parametrize(
    ("when", "said", "matched", "why"),
    [
        (TIER, {"header": "X-Tier: gold"}, True, "header x-tier gold"),
        (TIER, {"header": "x-tier: lead"}, False, "not header x-tier gold or silver"),
        (TIER, {}, False, "not header x-tier gold or silver"),
        ({"header": {"name": "x-tier", "equals": "gold"}}, {"header": "x-tier: gold"}, True, "header x-tier gold"),
        ({"header": {"name": "x-tier", "exists": True}}, {"header": "x-tier: "}, True, "header x-tier given"),
        ({"header": {"name": "x-tier", "exists": False}}, {}, True, "header x-tier absent"),
        (EXAMPLE, {"user": "ann@example.com"}, True, "user …@example.com"),
        (EXAMPLE, {"user": "ann@example.org"}, False, "not user …@example.com"),
        ({"user": {"startsWith": "svc-"}}, {"user": "svc-7"}, True, "user svc-…"),
        ({"user": {"in": ["ann", "bob"]}}, {"user": "bob"}, True, "user bob"),
        ({"user": {"equals": "ann"}}, {"user": "bob"}, False, "not user ann"),
        ({"user": {"exists": False}}, {}, True, "user absent"),
        ({"tools": {"exists": True}}, {"tools": ["search"]}, True, "tools given"),
        (
            UNHAPPY,
            {"session": "s", "negative": 3},
            True,
            "at least 2 negative labels in the session (3 known)",
        ),
        (UNHAPPY, {"session": "s", "negative": 1}, False, "not at least 2 negative labels in the session (1 known)"),
        (UNHAPPY, {"negative": 3}, False, "not at least 2 negative labels in the session (0 known)"),
        (
            UNHAPPY_AT_ONCE,
            {"session": "s", "negative": 1},
            True,
            "at least 1 negative label in the session (1 known)",
        ),
        (
            {"expression": "request.negativeFeedback > 1"},
            {"session": "s", "negative": 2},
            True,
            "request.negativeFeedback > 1",
        ),
        ({"tools": {"exists": True}}, {}, False, "not tools given"),
        ({"tools": {"in": ["buy", "search"]}}, {"tools": ["look", "search"]}, True, "tool search"),
        ({"tools": {"in": ["buy"]}}, {"tools": ["look"]}, False, "not tool buy"),
        (
            {"responseFormat": {"in": ["JSONSchema"]}},
            {"response_format": "json_schema"},
            True,
            "response format JSONSchema",
        ),
        (
            {"responseFormat": {"in": ["JSONObject", "JSONSchema"]}},
            {"response_format": "text"},
            False,
            "not response format JSONObject or JSONSchema",
        ),
        (GERMAN, {"prompt": "Wie komme ich zum Bahnhof?"}, True, "language de"),
        (GERMAN, {"prompt": "How do I get to the station?"}, False, "not language de or fr"),
        (GERMAN, {"prompt": "Bahnhof"}, False, "not language de or fr"),
        (CODE, {"prompt": "Fix it:\n```\nx = 1\n```"}, True, "Code in the messages"),
        (CODE, {"prompt": "Let me know; thanks."}, False, "not Code in the messages"),
        (MATHS, {"prompt": "Solve x^2 - 3x + 2 = 0"}, True, "Maths in the messages"),
        (MATHS, {"prompt": "Call 555-1234 on 2026-05-06"}, False, "not Maths in the messages"),
        (REFUND, {"prompt": "Where is my REFUND?"}, True, "keyword refund"),
        (REFUND, {"prompt": "Is it refundable?"}, False, "not keyword C++ or power of attorn* or refund or 返金"),
        (REFUND, {"prompt": "A power of\nattorney, please"}, True, "keyword power of attorn*"),
        (REFUND, {"prompt": "Is (C++) hard?"}, True, "keyword C++"),
        (REFUND, {"prompt": "Is C hard?"}, False, "not keyword C++ or power of attorn* or refund or 返金"),
        (REFUND, {"prompt": "商品の返金はできますか"}, True, "keyword 返金"),
        (NIGHT, {"at": "2026-03-06T18:30+01:00"}, True, "Friday 18:00 to 06:00 (Europe/Berlin)"),
        (NIGHT, {"at": "2026-03-07T05:59+01:00"}, True, "Friday 18:00 to 06:00 (Europe/Berlin)"),
        (NIGHT, {"at": "2026-03-07T06:00+01:00"}, False, "not Friday 18:00 to 06:00 (Europe/Berlin)"),
        (NIGHT, {"at": "2026-03-06T05:00+01:00"}, False, "not Friday 18:00 to 06:00 (Europe/Berlin)"),
        ({"time": {"days": ["Monday", "Sunday"]}}, {"at": "2026-03-02T23:59Z"}, True, "Monday or Sunday (UTC)"),
        (
            {"time": {"from": "09:00", "to": "24:00"}},
            {"at": "2026-03-02T08:59"},
            False,
            "not every day 09:00 to 24:00 (UTC)",
        ),
        (LAW, {"metadata": ["domain=money, legal"]}, True, "domain Legal"),
        (LAW, {"prompt": "May I break my lease early?", "risk": {}}, True, "domain Legal"),
        (LAW, {"prompt": "May I break my lease early?"}, False, "not domain Legal or Medical"),
        (
            LAW,
            {"prompt": "Darf mir der Vermieter kündigen?", "risk": {"lexicons": ["en"]}},
            False,
            "not domain Legal or Medical",
        ),
        (LAW, {"prompt": "J'ai une douleur à la poitrine", "risk": {}}, True, "domain Medical"),
        (
            LAW,
            {
                "prompt": "Our frobnication",
                "risk": {"lexicons": [], "terms": [{"domain": "Legal", "words": ["frobnic*"]}]},
            },
            True,
            "domain Legal",
        ),
        (
            {"severity": {"in": ["Critical"]}},
            {"prompt": "Quiero morir, no puedo más", "risk": {}},
            True,
            "severity Critical",
        ),
        (
            {"severity": {"in": ["Critical"]}},
            {"prompt": "Quiero morir", "severity": "low", "risk": {}},
            False,
            "not severity Critical",
        ),
        (TOPIC, {"metadata": ["topic=legal"]}, True, "request.metadata['topic'] == 'legal'"),
        (TOPIC, {"metadata": ["topic=food"]}, False, "not request.metadata['topic'] == 'legal'"),
        (
            TOPIC,
            {},
            False,
            f"not {TOPIC['expression']} (it failed: it reads a key that is not there; ask with in or has(…) first)",
        ),
        (
            {"expression": "1 / request.user.size() == 0"},
            {},
            False,
            "not 1 / request.user.size() == 0 (it failed: it divides by zero)",
        ),
        (
            {"expression": "request.text.contains('refund')"},
            {"prompt": "A refund"},
            True,
            "request.text.contains('refund')",
        ),
        (
            {"expression": "request.language == 'en' && request.severity == 'High'"},
            {"severity": "high", "prompt": "Where is it?"},
            True,
            "request.language == 'en' && request.severity == 'High'",
        ),
        ({"expression": "request.headers['x-a'] == '1'"}, {"header": "X-A: 1"}, True, "request.headers['x-a'] == '1'"),
        (
            {"expression": "request.tools.exists(t, t.startsWith('s'))"},
            {"tools": ["search"]},
            True,
            "request.tools.exists(t, t.startsWith('s'))",
        ),
        ({"any": [TIER, EXAMPLE], "not": [GERMAN]}, {"user": "a@example.com"}, True, "user …@example.com"),
        (
            {"any": [TIER, EXAMPLE], "not": [GERMAN]},
            {"user": "a@example.com", "prompt": "Wo ist das?"},
            False,
            "excluded by language de",
        ),
        (
            {"all": [{**TIER, **EXAMPLE}]},
            {"user": "a@example.com", "header": "x-tier: gold"},
            True,
            "header x-tier gold with user …@example.com",
        ),
    ],
)
def test_a_rule_and_its_sentence(when: Json, said: Json, *, matched: bool, why: str) -> None:
    trial = answered(when, **said).routes[0]

    assert (trial.message, trial.matched) == (why, matched)


def test_an_expression_shows_what_it_read_and_of_the_text_its_length_alone() -> None:
    found = answered(
        {"expression": "request.user == 'ann' && request.text.contains('x') || request.tools == []"},
        user="ann",
        prompt="secret",
    )

    assert dict(found.routes[0].values) == {"user": '"ann"', "text": "6 characters", "tools": "[]"}


def test_headers_that_carry_keys_are_in_no_expression() -> None:
    assert (
        not answered({"expression": "'authorization' in request.headers"}, header="Authorization: Bearer x")
        .routes[0]
        .matched
    )


def test_the_decision_carries_what_hangs_on_the_answer() -> None:
    found = answered(LAW, prompt="I was served with a lawsuit", risk={}).decision.risk
    said = answered(LAW, prompt="Hello", metadata=["domain=Legal"], severity="high").decision.risk

    assert found == decision_pb2.DecisionRisk(
        domains=[types_pb2.DOMAIN_LEGAL], severity=types_pb2.SEVERITY_HIGH, found=True
    )
    assert said == decision_pb2.DecisionRisk(domains=[types_pb2.DOMAIN_LEGAL], severity=types_pb2.SEVERITY_HIGH)
    assert not answered(LAW, prompt="Hello").decision.HasField("risk")


def test_what_a_request_says_of_its_domain_goes_before_what_is_found() -> None:
    assert not answered(LAW, prompt="I was served with a lawsuit", metadata=["domain=none"], risk={}).routes[0].matched


def test_routes_after_the_one_that_matched_are_told_as_untried() -> None:
    routes = [{"name": name, "when": {"user": {"exists": True}}, "model": "flagship"} for name in ("a", "b", "c")]
    found = explain(
        build(Options(prompt="Hello", user="ann")),
        world=world(PROVIDER, policy(routes=routes)),
        pod=Pod(namespace="shop", name="standalone", labels={}),
        new_id=lambda: "d-1",
        now=0.0,
        headers={},
        negative_feedback=0,
    )

    assert [trial.route for trial in found.routes] == ["a"]
    assert list(found.untried) == ["b", "c"]
