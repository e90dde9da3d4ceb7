"""Resources are read once, and what cannot be read says why."""

from typing import Any

import pytest

from pointsman_operator.resources import (
    MalformedObjectError,
    ModelProvider,
    ModelRoutingPolicy,
    Unreadable,
    parse_namespace,
    parse_policy,
    parse_provider,
    parse_secret,
)
from pure.operator.objects import policy, provider, route, secret


def test_a_field_of_a_newer_crd_is_passed_over_where_it_changes_nothing_that_is_obeyed() -> None:
    value = policy(history={"keepTurns": 8})
    value["spec"]["resilience"]["pacing"] = {"smooth": True}

    assert isinstance(parse_policy(value), ModelRoutingPolicy)


@pytest.mark.parametrize(
    ("spec", "path"),
    [
        ({"routes": [route(when={"sentiment": "request.user == 'x'"})]}, "spec.routes[0].when.sentiment"),
        ({"routes": [route(when={"any": [{"mood": {"in": ["Angry"]}}]})]}, "spec.routes[0].when.any[0].mood"),
        ({"selector": {"matchFields": {"a": "b"}}}, "spec.selector.matchFields"),
    ],
)
def test_a_field_that_narrows_is_refused_where_it_is_not_known(spec: dict[str, Any], path: str) -> None:
    parsed = parse_policy(policy(**spec))

    assert isinstance(parsed, Unreadable)
    assert [(problem.path, problem.reason) for problem in parsed.problems] == [(path, "InvalidSpec")]
    assert "upgrade the operator" in parsed.problems[0].message


def test_an_unknown_restriction_of_who_may_use_a_provider_is_not_read_as_none() -> None:
    parsed = parse_provider(provider(allowed={"from": "All", "except": ["shop"]}))

    assert isinstance(parsed, Unreadable)
    assert parsed.problems[0].path == "spec.allowedNamespaces.except"


def test_an_unreadable_resource_keeps_its_metadata_and_status() -> None:
    value = policy(defaultModel=7)
    value["status"] = {"observedGeneration": 3}

    parsed = parse_policy(value)

    assert isinstance(parsed, Unreadable)
    assert parsed.metadata.name == "support"
    assert parsed.status == {"observedGeneration": 3}


def test_an_object_of_the_api_server_with_all_its_metadata_is_read() -> None:
    value = provider()
    value["metadata"] |= {"managedFields": [{"manager": "kubectl"}], "annotations": {"a": "b"}, "labels": None}

    assert isinstance(parse_provider(value), ModelProvider)


@pytest.mark.parametrize("value", [{}, {"metadata": None}, {"metadata": {"namespace": "shop"}}])
def test_what_is_no_object_is_an_error_of_its_own(value: dict[str, object]) -> None:
    with pytest.raises(MalformedObjectError):
        parse_namespace(value)


def test_a_secret_loses_the_newline_that_echo_adds_and_is_never_printed() -> None:
    parsed = parse_secret(secret("openai", key="sk-secret\n"))

    assert parsed.data == {"key": "sk-secret"}
    assert "sk-secret" not in repr(parsed)


def test_a_secret_value_that_is_no_text_is_left_out() -> None:
    value = secret("openai", key="sk-secret")
    value["data"]["binary"] = "gIGC"

    assert parse_secret(value).data == {"key": "sk-secret"}
