"""A sidecar is given what its namespace may use now, and nothing else."""

from collections.abc import Mapping, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pointsman_operator.compile import Access, grant_access
from pointsman_operator.resources import parse_secret
from pure.operator.objects import OPERATOR_NAMESPACE, Json, provider, read_providers, secret

SECRETS = [secret("shared", key="sk-shared"), secret("own", key="sk-own"), secret("blank", key=" ")]


def auth(name: str, *namespaces: str, key: str = "key") -> Json:
    entry: Json = {"secretKeyRef": {"name": name, "key": key}}
    return {**entry, "namespaces": {"matchNames": list(namespaces)}} if namespaces else entry


def granted(
    *providers: Json,
    names: Sequence[str] = (),
    namespace: str = "shop",
    labels: Mapping[str, str] | None = None,
) -> Access:
    known = [parse_secret(value) for value in SECRETS]
    return grant_access(
        names or [each["metadata"]["name"] for each in providers],
        providers=read_providers(*providers),
        namespace=namespace,
        namespace_labels=labels or {},
        secrets={each.metadata.key: each for each in known},
        secrets_namespace=OPERATOR_NAMESPACE,
    )


def keys(access: Access) -> dict[str, str]:
    return {each.provider: each.api_key for each in access.update.providers}


def test_the_first_entry_that_fits_the_namespace_gives_the_key() -> None:
    value = provider(auth=[auth("own", "shop", "till"), auth("shared")])

    assert keys(granted(value)) == {"openai": "sk-own"}
    assert keys(granted(value, namespace="till")) == {"openai": "sk-own"}
    assert keys(granted(value, namespace="desk")) == {"openai": "sk-shared"}


def test_a_provider_without_auth_is_called_without_a_key() -> None:
    assert keys(granted(provider())) == {"openai": ""}


def test_a_namespace_for_which_there_is_no_key_gets_no_access_and_the_status_says_why() -> None:
    access = granted(provider(auth=[auth("own", "till")]))

    assert keys(access) == {}
    assert [(problem.reason, problem.path) for problem in access.problems] == [
        ("NoKeyForNamespace", "ModelProvider openai")
    ]
    assert "namespace shop" in access.problems[0].message


@pytest.mark.parametrize(
    ("entry", "reason", "named"),
    [
        (auth("lost"), "SecretNotFound", "Secret lost in namespace pointsman-system"),
        (auth("own", key="token"), "SecretKeyNotFound", "no key token"),
        (auth("blank"), "SecretInvalid", "under key"),
    ],
)
def test_a_key_that_is_not_there_is_named_and_no_access_given(entry: Json, reason: str, named: str) -> None:
    access = granted(provider(auth=[entry]))

    assert keys(access) == {}
    assert [problem.reason for problem in access.problems] == [reason]
    assert named in access.problems[0].message


def test_a_provider_that_is_gone_or_cannot_be_read_is_not_granted() -> None:
    assert keys(granted(provider(), names=["azure"])) == {}
    assert keys(granted(provider(baseURL=7))) == {}


def test_keys_are_never_printed() -> None:
    assert "sk-shared" not in repr(granted(provider(auth=[auth("shared")])))


pairs = st.dictionaries(st.sampled_from(["ai", "tier"]), st.sampled_from(["on", "off"]))
some_pairs = st.dictionaries(st.sampled_from(["ai", "tier"]), st.sampled_from(["on", "off"]), min_size=1)


@given(rules=st.lists(st.none() | some_pairs, max_size=4), labels=pairs)
def test_access_holds_the_providers_that_allow_the_namespace_and_no_other(
    rules: list[dict[str, str] | None], labels: dict[str, str]
) -> None:
    providers = [
        provider(
            f"p{index}",
            allowed={"from": "All"} if rule is None else {"from": "Selector", "selector": {"matchLabels": rule}},
        )
        for index, rule in enumerate(rules)
    ]

    access = granted(*providers, labels=labels) if providers else None

    expected = {f"p{index}" for index, rule in enumerate(rules) if rule is None or rule.items() <= labels.items()}
    assert expected == set(keys(access) if access else {})
