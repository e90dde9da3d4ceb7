"""A policy compiles to the same snapshot everywhere, or to all the reasons why not."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pointsman_api.v1 import snapshot_pb2 as snapshot
from pointsman_api.v1 import types_pb2 as types
from pointsman_operator.compile import Compiled, compile_policy
from pointsman_operator.resources import Key, ModelProvider, Problem, Unreadable, parse_policy
from pure.operator.objects import Json, offered, policy, provider, read_providers, route, used

PROVIDERS = read_providers(provider())


def compiled(value: Json, *, providers: dict[Key, ModelProvider | Unreadable] | None = None, **labels: str) -> Compiled:
    result = compile_policy(
        parse_policy(value), providers=PROVIDERS if providers is None else providers, namespace_labels=labels
    )
    assert isinstance(result, Compiled), result
    return result


def problems(
    value: Json, *, providers: dict[Key, ModelProvider | Unreadable] | None = None, **labels: str
) -> tuple[Problem, ...]:
    result = compile_policy(
        parse_policy(value), providers=PROVIDERS if providers is None else providers, namespace_labels=labels
    )
    assert not isinstance(result, Compiled), "compiled"
    return result


def test_a_snapshot_is_complete() -> None:
    value = policy(
        generation=4,
        routes=[
            route("urgent", when={"severity": {"in": ["Critical", "High"]}}, fallbacks=[]),
            route(
                "trial",
                when={"metadata": {"key": "beta", "equals": "yes"}},
                split={
                    "stickyBy": "User",
                    "arms": [{"model": "mini", "weight": 9}, {"model": "flagship", "weight": 1}],
                },
            ),
        ],
        allowPinning=True,
        resilience={
            "timeouts": {"connect": "300ms", "firstToken": "15s", "attempt": "60s", "total": "2m"},
            "fallbacks": ["flagship"],
        },
        limits={"maxRequestBytes": "512Ki", "maxOutputTokens": 1024},
    )
    prices = {"currency": "EUR", "input": "1.5", "cachedInput": "0.5", "output": "2"}
    models = [offered("gpt-4o-mini"), offered("gpt-4o", price=prices, features=["Tools"])]

    result = compiled(value, providers=read_providers(provider(models=models, generation=2))).snapshot

    assert (result.policy.namespace, result.policy.name, result.policy.generation) == ("shop", "support", 4)
    assert [(each.kind, each.name, each.generation) for each in result.inputs] == [
        ("ModelRoutingPolicy", "support", 4),
        ("ModelProvider", "openai", 2),
    ]
    assert [(each.name, each.base_url) for each in result.providers] == [("openai", "https://api.openai.com/v1")]
    mini, flagship = result.models
    assert (mini.name, mini.provider, mini.provider_model) == ("mini", "openai", "gpt-4o-mini")
    assert mini.price == snapshot.Price(currency="USD", input="0.15", cached_input="0.15", output="0.60")
    assert flagship.price.cached_input == "0.5"
    assert list(flagship.features) == [types.FEATURE_TOOLS]
    assert list(flagship.input_modalities) == [types.MODALITY_TEXT]
    assert (flagship.context_window, flagship.max_output_tokens) == (128000, 16384)
    urgent, trial = result.routes
    assert [(arm.model, arm.weight) for arm in urgent.arms] == [("flagship", 1)]
    assert urgent.overrides_fallbacks
    assert not urgent.fallbacks
    assert urgent.sticky_by == snapshot.STICKY_BY_UNSPECIFIED
    assert [(arm.model, arm.weight) for arm in trial.arms] == [("mini", 9), ("flagship", 1)]
    assert trial.sticky_by == snapshot.STICKY_BY_USER
    assert not trial.overrides_fallbacks
    assert (result.default_model, result.allow_pinning, list(result.fallbacks)) == ("mini", True, ["flagship"])
    assert result.timeouts.connect.ToMilliseconds() == 300
    assert result.timeouts.total.ToSeconds() == 120
    assert (result.limits.max_request_bytes, result.limits.max_output_tokens) == (512 * 1024, 1024)


def test_a_condition_keeps_what_stands_beside_any_all_and_not() -> None:
    when = {
        "severity": {"in": ["High"]},
        "all": [{"estimatedInputTokens": {"atLeast": 10, "lessThan": 20}}],
        "any": [{"metadata": {"key": "a", "exists": False}}, {"metadata": {"key": "b", "in": ["y", "x"]}}],
        "not": [{"modality": {"in": ["Image"]}, "severity": {"in": ["Low"]}}],
    }

    condition = compiled(policy(routes=[route(when=when)])).snapshot.routes[0].when

    severity, size = condition.all
    assert list(getattr(severity.severity, "in")) == [types.SEVERITY_HIGH]
    assert (size.estimated_input_tokens.at_least, size.estimated_input_tokens.less_than) == (10, 20)
    absent, listed = condition.any
    assert absent.metadata.WhichOneof("test") == "exists"
    assert not absent.metadata.exists
    assert list(getattr(listed.metadata, "in").values) == ["x", "y"]
    (both,) = condition.none
    assert [each.WhichOneof("matcher") for each in both.all_of.matchers] == ["severity", "modality"]


def test_negative_feedback_is_a_test_like_others() -> None:
    when = {"negativeFeedback": {"atLeast": 2}, "not": [{"negativeFeedback": {"atLeast": 9}}]}

    condition = compiled(policy(routes=[route(when=when)])).snapshot.routes[0].when

    (least,), (excluded,) = condition.all, condition.none
    assert (least.negative_feedback.at_least, excluded.negative_feedback.at_least) == (2, 9)


def test_an_open_end_of_a_size_stays_open() -> None:
    when = {"estimatedInputTokens": {"atLeast": 10}}

    (size,) = compiled(policy(routes=[route(when=when)])).snapshot.routes[0].when.all

    assert not size.estimated_input_tokens.HasField("less_than")


def test_each_input_and_provider_is_there_once_whatever_the_models_order() -> None:
    providers = read_providers(provider("b"), provider("a"))
    models = [
        used("x", "gpt-4o", provider="b"),
        used("mini", "gpt-4o-mini", provider="a"),
        used("y", "gpt-4o-mini", provider="b"),
    ]

    result = compiled(policy(models=models), providers=providers).snapshot

    assert [each.name for each in result.providers] == ["a", "b"]
    assert [each.name for each in result.inputs] == ["support", "a", "b"]
    assert [each.name for each in result.models] == ["x", "mini", "y"]


def test_a_provider_that_is_not_there_is_named() -> None:
    (problem,) = problems(policy(models=[used("mini", "gpt-4o", provider="azure")]))

    assert (problem.reason, problem.path) == ("ProviderNotFound", "spec.models[0].providerRef")
    assert "azure" in problem.message


def test_a_model_that_the_provider_does_not_offer_is_answered_with_what_it_offers() -> None:
    (problem,) = problems(policy(models=[used("mini", "gpt-5")]))

    assert (problem.reason, problem.path) == ("ModelNotFound", "spec.models[0].model")
    assert problem.message == "ModelProvider openai has no model gpt-5; it has gpt-4o-mini, gpt-4o"


def test_a_provider_is_for_the_namespaces_that_it_selects_and_no_others() -> None:
    providers = read_providers(provider(allowed={"from": "Selector", "selector": {"matchLabels": {"ai": "allowed"}}}))

    refused = problems(policy(), providers=providers, ai="no")

    assert compiled(policy(), providers=providers, ai="allowed")
    assert {problem.reason for problem in refused} == {"NamespaceNotAllowed"}
    assert "does not allow namespace shop" in refused[0].message


def test_a_provider_that_cannot_be_read_says_so_in_the_policies_that_use_it() -> None:
    refused = problems(policy(), providers=read_providers(provider(baseURL=7)))

    assert {problem.reason for problem in refused} == {"ProviderInvalid"}
    assert "spec.baseURL" in refused[0].message


def test_all_that_is_wrong_is_said_at_once() -> None:
    value = policy(
        models=[used("mini", "gpt-5"), used("flagship", "gpt-4o", provider="azure")],
        selector={"matchLabels": {"app": "no spaces"}},
    )

    assert [problem.reason for problem in problems(value)] == ["InvalidSelector", "ModelNotFound", "ProviderNotFound"]


@pytest.mark.parametrize(
    "selector",
    [
        {"matchLabels": {"a/b/c": "x"}},
        {"matchLabels": {"-app": "x"}},
        {"matchLabels": {"Example.COM/app": "x"}},
        {"matchLabels": {"app": "x!"}},
        {"matchLabels": {"a" * 64: "x"}},
        {"matchExpressions": [{"key": "", "operator": "Exists"}]},
        {"matchExpressions": [{"key": "app", "operator": "In", "values": ["ok", "-"]}]},
    ],
)
def test_a_selector_that_no_label_can_match_is_refused(selector: Json) -> None:
    (problem,) = problems(policy(selector=selector))

    assert problem.reason == "InvalidSelector"
    assert problem.path.startswith("spec.selector.match")


@pytest.mark.parametrize("key", ["app", "app.kubernetes.io/name", "a", "A_b.C-9", "x" * 63, f"{'x' * 63}.y/z"])
def test_what_kubernetes_accepts_as_a_label_is_accepted(key: str) -> None:
    assert compiled(policy(selector={"matchLabels": {key: ""}}))


@pytest.mark.parametrize(
    ("when", "path"),
    [
        ({"modality": {"in": ["Audio"]}}, "modality"),
        ({"all": [{"modality": {"in": ["Audio"]}}]}, "all[0].modality"),
        ({"any": [{"modality": {"in": ["Audio"]}}, {"modality": {"in": ["Image"]}}]}, "any"),
    ],
)
def test_a_route_for_what_none_of_its_models_takes_is_refused(when: Json, path: str) -> None:
    (problem,) = problems(policy(routes=[route(when=when)]))

    assert (problem.reason, problem.path) == ("IncapableModel", f"spec.routes[0].when.{path}")
    assert "flagship" in problem.message


@pytest.mark.parametrize(
    "spec",
    [
        {"routes": [route(when={"any": [{"modality": {"in": ["Audio"]}}, {"severity": {"in": ["High"]}}]})]},
        {"routes": [route(when={"modality": {"in": ["Audio", "Text"]}})]},
        {"routes": [route(when={"not": [{"modality": {"in": ["Audio"]}}]})]},
        {"routes": [route(when={"modality": {"in": ["Audio"]}}, fallbacks=["ears"])]},
    ],
)
def test_a_route_that_other_requests_reach_too_or_that_falls_back_to_a_capable_model_compiles(spec: Json) -> None:
    providers = read_providers(
        provider(models=[offered("gpt-4o-mini"), offered("gpt-4o"), offered("ears", inputModalities=["Text", "Audio"])])
    )
    models = [used("mini", "gpt-4o-mini"), used("flagship", "gpt-4o"), used("ears", "ears")]

    assert compiled(policy(models=models, **spec), providers=providers)


TIMEOUTS = {"connect": "2s", "firstToken": "15s", "attempt": "60s", "total": "120s"}
EMBED = used("embed", "text-embedding-3-small")
EMBEDDINGS = offered("text-embedding-3-small", features=["Embeddings"])


@pytest.mark.parametrize(
    ("spec", "path"),
    [
        ({"defaultModel": "embed"}, "spec.defaultModel"),
        ({"routes": [route(model="embed")]}, "spec.routes[0].model"),
        ({"routes": [route(fallbacks=["embed"])]}, "spec.routes[0].fallbacks[0]"),
        ({"resilience": {"timeouts": TIMEOUTS, "fallbacks": ["embed"]}}, "spec.resilience.fallbacks[0]"),
    ],
)
def test_a_model_that_gives_embeddings_cannot_be_one_that_answers(spec: Json, path: str) -> None:
    providers = read_providers(provider(models=[offered("gpt-4o-mini"), offered("gpt-4o"), EMBEDDINGS]))
    models = [used("mini", "gpt-4o-mini"), used("flagship", "gpt-4o"), EMBED]

    (problem,) = problems(policy(models=models, **spec), providers=providers)

    assert (problem.reason, problem.path) == ("IncapableModel", path)
    assert problem.message.startswith("embed gives embeddings and no answers")
    assert compiled(policy(models=models), providers=providers)


def test_a_dangling_name_that_an_older_crd_let_through_is_refused() -> None:
    value = policy(
        defaultModel="gone",
        routes=[route(model="lost", fallbacks=["stray"])],
    )

    assert [problem.path for problem in problems(value)] == [
        "spec.defaultModel",
        "spec.routes[0].model",
        "spec.routes[0].fallbacks[0]",
    ]


def shuffle(value: Any, draw: st.DrawFn) -> Any:
    """The same JSON value with the members of every object in another order."""
    if isinstance(value, dict):
        return {key: shuffle(value[key], draw) for key in draw(st.permutations(sorted(value)))}
    if isinstance(value, list):
        return [shuffle(each, draw) for each in value]
    return value


@st.composite
def twins(draw: st.DrawFn) -> tuple[Json, Json]:
    severities = draw(st.lists(st.sampled_from(["Low", "Medium", "High", "Critical"]), min_size=1, unique=True))
    value = policy(
        routes=[route(f"r{index}", when={"severity": {"in": severities}}) for index in range(draw(st.integers(0, 3)))],
        selector={"matchLabels": draw(st.dictionaries(st.sampled_from("abc"), st.sampled_from("xy"), min_size=1))},
    )
    return value, shuffle(value, draw)


@given(twins())
def test_the_order_of_members_in_a_document_changes_nothing(twins: tuple[Json, Json]) -> None:
    one, other = twins

    assert compiled(one).version == compiled(other).version


def test_the_order_of_a_set_changes_nothing() -> None:
    one = route(when={"severity": {"in": ["High", "Low"]}, "modality": {"in": ["Text", "Image"]}})
    other = route(when={"severity": {"in": ["Low", "High"]}, "modality": {"in": ["Image", "Text"]}})

    assert compiled(policy(routes=[one])).version == compiled(policy(routes=[other])).version


CHANGES: list[Json] = [
    {},
    {"allowPinning": True},
    {"defaultModel": "flagship"},
    {"models": [used("flagship", "gpt-4o"), used("mini", "gpt-4o-mini")]},
    {"routes": [route()]},
    {"routes": [route(fallbacks=[])]},
    {"routes": [route("a"), route("b")]},
    {"routes": [route("b"), route("a")]},
    {"routes": [route(when={"metadata": {"key": "k", "exists": True}})]},
    {"routes": [route(when={"metadata": {"key": "k", "exists": False}})]},
    {"routes": [route(when={"all": [{"severity": {"in": ["Low"]}}]})]},
    {"routes": [route(when={"any": [{"severity": {"in": ["Low"]}}]})]},
    {"routes": [route(when={"not": [{"severity": {"in": ["Low"]}}]})]},
    {"limits": {"maxRequestBytes": "4Mi", "maxOutputTokens": 1}},
    {"limits": {"maxRequestBytes": "5Mi"}},
    {"generation": 2},
    {"uid": "another"},
]


def test_the_version_changes_exactly_when_the_content_does() -> None:
    versions = [compiled(policy(**change)).version for change in CHANGES]

    assert len(set(versions)) == len(CHANGES)
    assert versions == [compiled(json.loads(json.dumps(policy(**change)))).version for change in CHANGES]


def test_metadata_that_says_nothing_about_routing_leaves_the_version_alone() -> None:
    relabelled = policy(version=99)
    relabelled["metadata"]["labels"] = {"team": "payments"}
    relabelled["status"] = {"observedGeneration": 1}

    assert compiled(relabelled).version == compiled(policy()).version


def test_a_selector_is_no_content_of_the_snapshot_but_its_generation_is() -> None:
    narrowed = policy(selector={"matchLabels": {"app": "a"}}, generation=1)

    assert compiled(narrowed).version == compiled(policy()).version


def test_all_that_is_wrong_with_rules_is_told_at_once() -> None:
    bad = policy(
        routes=[
            route("a", when={"expression": "request.user"}),
            route("b", when={"not": [{"time": {"days": ["Monday"], "timeZone": "localtime"}}]}),
            route("c", when={"expression": "request.user ==\n  3"}),
        ]
    )

    assert [(problem.path, problem.reason) for problem in problems(bad)] == [
        ("spec.routes[0].when.expression", "InvalidExpression"),
        ("spec.routes[1].when.not[0].time.timeZone", "UnknownTimeZone"),
        ("spec.routes[2].when.expression", "InvalidExpression"),
    ]


def test_the_order_of_a_rules_sets_does_not_change_the_version() -> None:
    def version(turn: int) -> str:
        def some(*values: str) -> dict[str, list[str]]:
            return {"in": list(values)[::turn]}

        when = {
            "header": {"name": "x-a", **some("1", "2")},
            "user": some("ann", "bob"),
            "domain": some("Legal", "Money"),
            "tools": some("buy", "search"),
            "responseFormat": some("Text", "JSONObject"),
            "language": some("de", "fr"),
            "content": some("Code", "Maths"),
            "keywords": some("a", "b"),
            "time": {"days": ["Monday", "Friday"][::turn], "timeZone": "UTC"},
        }
        risk = {"lexicons": ["en", "de"][::turn], "terms": [{"domain": "Legal", "severity": "High", "words": ["a"]}]}
        return compiled(policy(routes=[route("r", when=when)], risk=risk)).version

    assert version(1) == version(-1)


def test_a_policy_that_says_nothing_of_risk_or_latency_has_neither_in_its_snapshot() -> None:
    written = compiled(policy()).snapshot

    assert not written.HasField("risk")
    assert not written.HasField("latency")
