"""What is explained is what is done: random policies and requests, explained, and then served by the same sidecar.

The sidecar has no access to any provider, so each model of the plan has its turn and no call is made: the attempts in
the error's decision are the plan that was followed.
"""

import asyncio
import json
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import structlog
from hypothesis import given, settings
from hypothesis import strategies as st

from pointsman.explaining import explain
from pointsman.worlds import Pod
from pointsman_api.v1 import completions_pb2, control_pb2, decision_pb2, tuning_pb2
from pointsman_operator.compile import Compiled, compile_policy
from pointsman_operator.world import World
from pointsman_sidecar.completing.completions import Caller, Completions
from pointsman_sidecar.completing.deciding import decide
from pointsman_sidecar.completing.tuned import Tuned
from pointsman_sidecar.contract.chat_form import ChatForm
from pointsman_sidecar.contract.errors import CompletionError
from pointsman_sidecar.contract.explanations import explanation
from pointsman_sidecar.contract.forms import Form
from pointsman_sidecar.contract.protobuf_form import ProtobufForm
from pointsman_sidecar.contract.snapshots import CONTRACT_VERSION, read_snapshot
from pointsman_sidecar.contract.tunings import read_tuning
from pointsman_sidecar.control.in_force import InForce
from pointsman_sidecar.control.store import SnapshotStore
from pointsman_sidecar.doors.headers import for_rules
from pointsman_sidecar.providers.clients import ProviderClients
from pointsman_sidecar.routing.facts import Surroundings
from pointsman_sidecar.routing.plan import Ejected
from pointsman_sidecar.serving import new_counting
from pointsman_sidecar.telemetry.arrivals import over_grpc
from pointsman_sidecar.telemetry.metrics import Metrics
from pointsman_sidecar.telemetry.observer import Observer
from pointsman_sidecar.telemetry.spans import NoSpans
from pure.cli.resources import Json, policy, provider, world

NOW = 1_772_449_200.0  # a Monday, 11:00 in UTC
PROMPTS = [
    "Hello",
    "Wie komme ich zum Bahnhof?",
    "May I break my lease early?",
    "x^2 + 1 = 0",
    "```\nreturn 1;\n```",
    "I want a refund, please",
    "日本の返金",
    "a" * 30_000,
]
MATCHERS = st.sampled_from(
    [
        {"severity": {"in": ["High", "Critical"]}},
        {"metadata": {"key": "topic", "equals": "legal"}},
        {"modality": {"in": ["Text"]}},
        {"estimatedInputTokens": {"atLeast": 1000}},
        {"header": {"name": "x-tier", "equals": "gold"}},
        {"header": {"name": "x-tier", "exists": False}},
        {"user": {"endsWith": "@example.com"}},
        {"user": {"exists": True}},
        {"domain": {"in": ["Legal"]}},
        {"tools": {"in": ["search"]}},
        {"tools": {"exists": False}},
        {"responseFormat": {"in": ["JSONObject"]}},
        {"language": {"in": ["de"]}},
        {"content": {"in": ["Maths"]}},
        {"keywords": {"in": ["refund", "返金"]}},
        {"time": {"days": ["Monday"], "from": "09:00", "to": "17:00", "timeZone": "Asia/Tokyo"}},
        {"negativeFeedback": {"atLeast": 1}},
    ]
)
EXPRESSIONS = st.sampled_from(
    [
        "request.user.startsWith('a')",
        "request.metadata['topic'] == 'legal'",
        "request.tools.size() > 0 || request.language == 'de'",
        "request.headers['x-tier'] == 'gold'",
        "request.text.contains('refund') || 'Code' in request.content",
        "request.estimatedInputTokens > 100 && request.responseFormat == 'Text'",
        "request.negativeFeedback == 0",
    ]
)
CONDITIONS = st.one_of(
    MATCHERS,
    st.fixed_dictionaries({"any": st.lists(MATCHERS, min_size=1, max_size=3)}),
    st.fixed_dictionaries({"all": st.lists(MATCHERS, min_size=1, max_size=2)}),
    st.fixed_dictionaries({"not": st.lists(MATCHERS, min_size=1, max_size=2), "expression": EXPRESSIONS}),
    st.fixed_dictionaries({"expression": EXPRESSIONS}),
)
SPLIT = {"stickyBy": "User", "arms": [{"model": "mini", "weight": 1}, {"model": "flagship", "weight": 1}]}
ROUTES = st.lists(
    st.builds(
        lambda when, then: {"when": when, **then},
        CONDITIONS,
        st.sampled_from([{"model": "flagship"}, {"split": SPLIT}]),
    ),
    max_size=4,
).map(lambda routes: [{"name": f"r-{number}", **route} for number, route in enumerate(routes)])
SHARING = {"model": "flagship", "complexity": {"targetShare": 40}}
SPECS = st.fixed_dictionaries(
    {"routes": ROUTES, "resilience": st.sampled_from([{}, {"fallbacks": ["flagship"]}])},
    optional={
        "escalation": st.sampled_from([SHARING, {"model": "flagship", "complexity": {"threshold": "0.5"}}]),
        "risk": st.sampled_from([{}, {"lexicons": [], "terms": [{"domain": "Legal", "words": ["hello"]}]}]),
    },
)
BODIES = st.fixed_dictionaries(
    {"messages": st.lists(st.sampled_from(PROMPTS), min_size=1, max_size=3)},
    optional={
        "user": st.sampled_from(["ann@example.com", "bob"]),
        "metadata": st.sampled_from([{"topic": "legal"}, {"topic": "food"}, {"domain": "Legal"}]),
        "tools": st.sampled_from([["search"], ["buy", "look"]]),
        "response_format": st.just("json_object"),
    },
)
HEADERS = st.sampled_from([{}, {"x-tier": "gold"}, {"x-tier": "lead"}])


def as_chat(said: Json) -> ChatForm:
    """The request as OpenAI's clients send it."""
    body: Json = {"messages": [{"role": "user", "content": text} for text in said["messages"]]}
    body |= {name: said[name] for name in ("user", "metadata") if name in said}
    if "tools" in said:
        body["tools"] = [{"type": "function", "function": {"name": name}} for name in said["tools"]]
    if "response_format" in said:
        body["response_format"] = {"type": said["response_format"]}
    return ChatForm(json.dumps(body).encode(), {})


def as_message(said: Json) -> completions_pb2.CompleteRequest:
    """The same request as gRPC carries it."""
    return completions_pb2.CompleteRequest(
        messages=[
            completions_pb2.Message(role=completions_pb2.ROLE_USER, content=[completions_pb2.ContentPart(text=text)])
            for text in said["messages"]
        ],
        tools=[completions_pb2.Tool(name=name) for name in said.get("tools", ())],
        response_format=completions_pb2.ResponseFormat(json_object=completions_pb2.JsonObjectFormat())
        if "response_format" in said
        else None,
        hints=completions_pb2.RoutingHints(user=said.get("user", ""), metadata=said.get("metadata", {})),
    )


def in_force(world_: World) -> InForce:
    """What a sidecar has that was sent the world's policy, and no access."""
    [resource] = world_.policies.values()
    compiled = compile_policy(resource, providers=world_.providers, namespace_labels={})
    assert isinstance(compiled, Compiled)
    found = InForce()
    found.apply(
        read_snapshot(
            control_pb2.SnapshotUpdate(
                contract_version=CONTRACT_VERSION, version=compiled.version, generation=1, snapshot=compiled.snapshot
            )
        )
    )
    return found


async def explained_and_served(
    form: Form[Any, Any], state: InForce, headers: Json
) -> tuple[completions_pb2.ExplainResponse, decision_pb2.Decision]:
    """The explanation of a request, and the decision of the attempt to serve it."""
    log = structlog.wrap_logger(
        None, processors=[structlog.testing.LogCapture()], wrapper_class=structlog.stdlib.BoundLogger
    )
    async with ProviderClients() as clients:
        completions = Completions(
            in_force=state,
            clients=clients,
            observer=Observer(spans=NoSpans(), metrics=Metrics(), log=log, clock=lambda: 0.0),
            new_id=lambda: "d-1",
            clock=lambda: 0.0,
            random=lambda: 0.0,
            now=lambda: NOW,
            counting=new_counting(),
        )
        explained = completions.explain(form, headers=lambda: for_rules(headers.items()))
        caller = Caller(arrival=over_grpc("m", {}), headers=lambda: for_rules(headers.items()))
        with pytest.raises(CompletionError) as caught:
            await completions.complete(form, caller=caller)
    assert caught.value.decision is not None
    return explained, caught.value.decision


@settings(max_examples=150, deadline=None)
@given(spec=SPECS, said=BODIES, headers=HEADERS)
def test_what_is_explained_is_what_is_done_whatever_the_door(spec: Json, said: Json, headers: Json) -> None:
    world_ = world(provider(), policy(**spec))
    state = in_force(world_)

    explained, decision = asyncio.run(explained_and_served(ProtobufForm(as_message(said)), state, headers))
    over_http, _ = asyncio.run(explained_and_served(as_chat(said), state, headers))
    offline = explain(
        as_message(said),
        world=world_,
        pod=Pod(namespace="shop", name="standalone", labels={}),
        new_id=lambda: "d-1",
        now=NOW,
        headers=headers,
        negative_feedback=0,
    )

    assert decision.attempts
    assert [attempt.model for attempt in decision.attempts] == [step.model for step in explained.plan]
    assert (decision.route, decision.risk) == (explained.decision.route, explained.decision.risk)
    assert (list(offline.plan), list(offline.routes)) == (list(explained.plan), list(explained.routes))
    # Tools are spelt at greater length over HTTP, so the estimates that sentences quote are not the same.
    assert (list(over_http.plan), verdicts(over_http)) == (list(explained.plan), verdicts(explained))
    assert offline.decision.risk == over_http.decision.risk == explained.decision.risk


def verdicts(explained: completions_pb2.ExplainResponse) -> list[tuple[str, bool]]:
    """Which routes were tried, and which matched."""
    return [(trial.route, trial.matched) for trial in explained.routes]


TUNINGS = st.builds(
    lambda threshold, share: tuning_pb2.Tuning(
        version=7, complexity_threshold=f"{threshold:.4f}", complexity_share=share
    ),
    st.floats(0, 1),
    st.just(40),
)
HISTORIES = st.lists(st.floats(0, 1), max_size=60)
EJECTED = st.dictionaries(st.sampled_from(["mini", "flagship"]), st.just(Ejected(message="it failed", badness=(1.0,))))


def planned(
    said: Json, state: InForce, tuned: Tuned, *, ejected: Mapping[str, Ejected], hindrance: str, paces: Json
) -> completions_pb2.ExplainResponse:
    """What a sidecar would do with the request."""
    progress, features = decide(
        ProtobufForm(as_message(said)),
        in_force=state,
        new_id=lambda: "d-1",
        ejected=lambda _: ejected,
        surroundings=Surroundings(now=NOW, headers=dict),
        paces=lambda _: paces,
        hindrance=lambda _: hindrance,
        tuning=tuned.by,
        negative=lambda _: 0,
    )
    return explanation(progress, features)


@settings(max_examples=150, deadline=None)
@given(
    spec=SPECS,
    said=BODIES,
    tuning=TUNINGS,
    histories=st.tuples(HISTORIES, HISTORIES),
    ejected=EJECTED,
    hindrance=st.sampled_from(["", "its daily limit is reached"]),
    paces=st.dictionaries(st.sampled_from(["mini", "flagship"]), st.floats(0.01, 5)),
)
def test_the_same_request_and_state_make_the_same_plan_on_every_replica_and_after_a_restart(
    spec: Json,
    said: Json,
    tuning: tuning_pb2.Tuning,
    histories: tuple[list[float], list[float]],
    ejected: dict[str, Ejected],
    hindrance: str,
    paces: Json,
) -> None:
    """Snapshot, tuning, budgets and circuits are the state; what either has seen before is none of it."""
    world_ = world(provider(), policy(**{"escalation": SHARING, **spec}))
    plans = []
    ((_, resource),) = world_.policies.items()
    tuning.policy_uid = resource.metadata.uid
    with tempfile.TemporaryDirectory() as folder:
        store = SnapshotStore(Path(folder))
        store.save_tuning(tuning)
        restored = store.load_tuning()
    assert restored is not None
    for told, history in zip((tuning, restored), histories, strict=True):
        state = in_force(world_)
        state.fleet = read_tuning(told)
        tuned = Tuned(state, new_counting())
        for score in history:
            tuned.see(tuning.policy_uid, 40, score, is_high=False)
        plans.append(planned(said, state, tuned, ejected=ejected, hindrance=hindrance, paces=paces))

    assert plans[0] == plans[1]
