"""A snapshot is read in full, or rejected with a sentence for the policy's status."""

import contextlib
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pointsman_api.v1 import control_pb2, snapshot_pb2, types_pb2
from pointsman_sidecar.contract.rejections import SnapshotRejectedError
from pointsman_sidecar.contract.snapshots import read_snapshot
from pointsman_sidecar.routing.policy import (
    AllOf,
    Arm,
    Condition,
    Feature,
    InputTokens,
    MetadataExists,
    MetadataIn,
    Modality,
    ModalityIn,
    Price,
    Provider,
    Route,
    Severity,
    SeverityIn,
    StickyBy,
    Timeouts,
)
from support.snapshots import model, seconds, snapshot, update

Snapshot = snapshot_pb2.Snapshot
Matcher = snapshot_pb2.Matcher
# `in` is a word of Python's.
IN_A_OR_B: dict[str, Any] = {"in": snapshot_pb2.Values(values=["a", "b"])}
# A field's number that no message of ours has, and a value for it.
UNKNOWN_FIELD = b"\xfa\x3f\x03new"


def rejection(changed: control_pb2.SnapshotUpdate) -> str:
    """The sentence with which the update is rejected."""
    with pytest.raises(SnapshotRejectedError) as caught:
        read_snapshot(changed)
    return str(caught.value)


def with_matcher(matcher: Matcher) -> Snapshot:
    """A snapshot whose one route has this matcher."""
    route = snapshot_pb2.Route(
        name="r", when=snapshot_pb2.Condition(all=[matcher]), arms=[snapshot_pb2.Arm(model="mini", weight=1)]
    )
    return snapshot(routes=[route])


def test_everything_in_a_snapshot_is_read() -> None:
    route = snapshot_pb2.Route(
        name="all",
        when=snapshot_pb2.Condition(
            all=[
                Matcher(severity=snapshot_pb2.SeverityMatcher(**{"in": [types_pb2.SEVERITY_LOW]})),
                Matcher(metadata=snapshot_pb2.MetadataMatcher(key="k", exists=False)),
            ],
            any=[
                Matcher(metadata=snapshot_pb2.MetadataMatcher(key="t", **IN_A_OR_B)),
                Matcher(modality=snapshot_pb2.ModalityMatcher(**{"in": [types_pb2.MODALITY_AUDIO]})),
            ],
            none=[
                Matcher(
                    all_of=snapshot_pb2.Conjunction(
                        matchers=[
                            Matcher(estimated_input_tokens=snapshot_pb2.TokensMatcher(at_least=0)),
                            Matcher(estimated_input_tokens=snapshot_pb2.TokensMatcher(less_than=9)),
                        ]
                    )
                )
            ],
        ),
        arms=[snapshot_pb2.Arm(model="mini", weight=95), snapshot_pb2.Arm(model="flagship", weight=5)],
        sticky_by=snapshot_pb2.STICKY_BY_SESSION,
        overrides_fallbacks=True,
    )

    read = read_snapshot(
        update(
            snapshot(
                base_url="https://api.example.com/v1",
                routes=[route],
                allow_pinning=True,
                connect=0.25,
                first_token=1.5,
                attempt=30,
                total=1800,
                max_request_bytes=1234,
                max_output_tokens=1024,
            )
        )
    )

    assert (read.namespace, read.name, read.uid, read.generation, read.version) == (
        "shop",
        "support",
        "u-1",
        3,
        "sha256:1",
    )
    assert read.providers == {"openai": Provider(name="openai", base_url="https://api.example.com/v1")}
    assert read.models["mini"].price == Price(
        currency="USD", input=Decimal("0.15"), cached_input=Decimal("0.075"), output=Decimal("0.60")
    )
    assert read.models["mini"].provider_model == "gpt-4o-mini"
    assert read.models["mini"].context_window == 128_000
    assert read.models["mini"].max_output_tokens == 16_384
    assert read.models["mini"].input_modalities == {Modality.TEXT, Modality.IMAGE}
    assert read.models["mini"].features == set(Feature) - {Feature.EMBEDDINGS}
    assert list(read.models) == ["mini", "flagship"]
    assert read.default_model == "mini"
    assert read.allow_pinning is True
    assert read.routes == (
        Route(
            name="all",
            when=Condition(
                all=(SeverityIn(severities=frozenset({Severity.LOW})), MetadataExists(key="k", exists=False)),
                any=(
                    MetadataIn(key="t", values=frozenset({"a", "b"})),
                    ModalityIn(modalities=frozenset({Modality.AUDIO})),
                ),
                none=(
                    AllOf(
                        matchers=(
                            InputTokens(at_least=0, less_than=None),
                            InputTokens(at_least=None, less_than=9),
                        )
                    ),
                ),
            ),
            arms=(Arm(model="mini", weight=95), Arm(model="flagship", weight=5)),
            sticky_by=StickyBy.SESSION,
            fallbacks=(),
        ),
    )
    assert read.fallbacks == ("flagship",)
    assert read.timeouts == Timeouts(connect=0.25, first_token=1.5, attempt=30, total=1800, between_tokens=30)
    assert read.max_request_bytes == 1234
    assert read.max_output_tokens == 1024


def test_a_route_without_fallbacks_of_its_own_leaves_them_to_the_policy() -> None:
    assert read_snapshot(update(snapshot())).routes[0].fallbacks is None


def test_no_cap_on_output_is_none_and_not_zero() -> None:
    assert read_snapshot(update(snapshot(max_output_tokens=0))).max_output_tokens is None


def test_another_version_of_the_contract_is_rejected() -> None:
    assert rejection(update(snapshot(), contract_version=2)) == (
        "the snapshot is written in version 2 of the contract; this sidecar reads version 1"
    )


def _matcher_of(changed: Snapshot) -> Matcher:
    return changed.routes[0].when.all[0]


@pytest.mark.parametrize(
    ("place", "name"),
    [
        pytest.param(lambda changed: changed, "Snapshot", id="the snapshot"),
        pytest.param(lambda changed: changed.policy, "PolicyRef", id="its policy"),
        pytest.param(lambda changed: changed.inputs[1], "ObjectVersion", id="an input"),
        pytest.param(lambda changed: changed.providers[0], "Provider", id="a provider"),
        pytest.param(lambda changed: changed.models[1], "Model", id="a model"),
        pytest.param(lambda changed: changed.models[1].price, "Price", id="a price"),
        pytest.param(lambda changed: changed.routes[0], "Route", id="a route"),
        pytest.param(lambda changed: changed.routes[0].when, "Condition", id="a condition"),
        pytest.param(_matcher_of, "Matcher", id="a matcher"),
        pytest.param(lambda changed: _matcher_of(changed).severity, "SeverityMatcher", id="a matcher's content"),
        pytest.param(lambda changed: changed.routes[0].arms[0], "Arm", id="an arm"),
        pytest.param(lambda changed: changed.timeouts.total, "Duration", id="a timeout"),
        pytest.param(lambda changed: changed.limits, "Limits", id="the limits"),
    ],
)
def test_a_field_that_is_newer_than_the_sidecar_is_rejected_wherever_it_is(
    place: Callable[[Snapshot], Snapshot], name: str
) -> None:
    changed = snapshot()
    place(changed).MergeFromString(UNKNOWN_FIELD)

    assert rejection(update(changed)) == (
        f"{name} holds a field that this sidecar does not know: it is older than the policy"
    )


def test_an_update_that_holds_a_newer_field_itself_is_rejected() -> None:
    changed = update(snapshot())
    changed.MergeFromString(UNKNOWN_FIELD)

    assert rejection(changed) == (
        "SnapshotUpdate holds a field that this sidecar does not know: it is older than the policy"
    )


def _with_severity_99(changed: Snapshot) -> None:
    getattr(_matcher_of(changed).severity, "in").append(99)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        pytest.param(
            _with_severity_99, "route risky holds a value that this sidecar does not know (99)", id="severity"
        ),
        pytest.param(
            lambda changed: changed.models[0].input_modalities.append(99),
            "model mini holds a value that this sidecar does not know (99)",
            id="modality",
        ),
        pytest.param(
            lambda changed: changed.models[0].features.append(0),
            "model mini holds a value that this sidecar does not know (0)",
            id="feature",
        ),
        pytest.param(
            lambda changed: setattr(changed.routes[0], "sticky_by", 99),
            "route risky holds a value that this sidecar does not know (99)",
            id="sticky by",
        ),
        pytest.param(
            lambda changed: setattr(changed.providers[0], "type", 99),
            "provider openai is of type 99, which this sidecar does not speak",
            id="provider's type",
        ),
        pytest.param(
            lambda changed: setattr(changed.models[0], "provider", "azure"),
            "model mini names provider azure, which is not in the snapshot",
            id="a model's provider",
        ),
        pytest.param(
            lambda changed: setattr(changed, "default_model", "zz"),
            "the default names model zz, which is not in the snapshot",
            id="the default model",
        ),
        pytest.param(
            lambda changed: changed.fallbacks.append("zz"),
            "a fallback names model zz, which is not in the snapshot",
            id="a fallback",
        ),
        pytest.param(
            lambda changed: setattr(changed.routes[0].arms[0], "model", "zz"),
            "route risky names model zz, which is not in the snapshot",
            id="an arm's model",
        ),
        pytest.param(
            lambda changed: changed.routes[0].MergeFrom(snapshot_pb2.Route(overrides_fallbacks=True, fallbacks=["zz"])),
            "a fallback of route risky names model zz, which is not in the snapshot",
            id="a route's fallback",
        ),
        pytest.param(
            lambda changed: setattr(changed.routes[0].arms[0], "weight", 0),
            "route risky has no arm with a weight above 0",
            id="no weight",
        ),
        pytest.param(
            lambda changed: changed.routes[0].ClearField("arms"),
            "route risky has no arm with a weight above 0",
            id="no arm",
        ),
        pytest.param(
            lambda changed: changed.routes[0].arms.add(model="mini", weight=-1),
            "route risky has an arm with a weight below 0",
            id="a negative weight",
        ),
        pytest.param(
            lambda changed: changed.models.append(model("mini")), "two models are named mini", id="a model twice"
        ),
        pytest.param(
            lambda changed: changed.providers.append(changed.providers[0]),
            "two providers are named openai",
            id="a provider twice",
        ),
        pytest.param(
            lambda changed: setattr(changed.models[0], "context_window", 0),
            "model mini: context_window is 0; it must be 1 or more",
            id="no context window",
        ),
        pytest.param(
            lambda changed: setattr(changed.models[0], "max_output_tokens", 0),
            "model mini: max_output_tokens is 0; it must be 1 or more",
            id="no output",
        ),
        pytest.param(
            lambda changed: setattr(changed.limits, "max_request_bytes", 0),
            "limits.max_request_bytes is 0; it must be 1 or more",
            id="no request fits",
        ),
        pytest.param(
            lambda changed: setattr(changed.limits, "max_output_tokens", -1),
            "limits.max_output_tokens is -1; it must be 0 or more",
            id="a negative cap",
        ),
    ],
)
def test_what_cannot_be_read_or_contradicts_itself_is_rejected(
    change: Callable[[Snapshot], None], sentence: str
) -> None:
    changed = snapshot()
    change(changed)

    assert rejection(update(changed)) == sentence


@pytest.mark.parametrize(
    "matcher", [Matcher(), Matcher(all_of=snapshot_pb2.Conjunction(matchers=[Matcher()]))], ids=["plain", "nested"]
)
def test_a_matcher_that_holds_nothing_known_is_rejected(matcher: Matcher) -> None:
    assert rejection(update(with_matcher(matcher))) == (
        "route r has a matcher that this sidecar does not know: it is older than the policy"
    )


def test_a_metadata_matcher_without_a_test_is_rejected() -> None:
    matcher = Matcher(metadata=snapshot_pb2.MetadataMatcher(key="task"))

    assert rejection(update(with_matcher(matcher))) == "route r does not say what metadata task must be"


@pytest.mark.parametrize("kind", ["input", "cached_input", "output"])
@pytest.mark.parametrize("amount", ["", "free", "NaN", "Infinity", "-1", "1,50"])
def test_a_price_that_is_no_amount_is_rejected(kind: str, amount: str) -> None:
    changed = snapshot()
    setattr(changed.models[0].price, kind, amount)

    assert rejection(update(changed)) == "model mini has a price that is not a decimal number of 0 or more"


@pytest.mark.parametrize(
    "url",
    ["", "api.example.com/v1", "ftp://example.com/v1", "http:///v1", "http://example.com:99999/v1", "http://[/v1"],
)
def test_a_base_url_that_cannot_be_called_is_rejected(url: str) -> None:
    assert rejection(update(snapshot(base_url=url))) == (
        f"provider openai has the base URL {url!r}, which is no http or https URL"
    )


@pytest.mark.parametrize("name", ["connect", "first_token", "attempt", "total"])
@pytest.mark.parametrize(
    ("value", "shown"), [(0, "0"), (-1, "-1"), (1800.5, "1800.5"), (315_576_000_000, "3.15576e+11")]
)
def test_a_timeout_out_of_range_is_rejected(name: str, value: float, shown: str) -> None:
    changed = snapshot()
    getattr(changed.timeouts, name).CopyFrom(seconds(0))
    getattr(changed.timeouts, name).seconds = int(value)
    getattr(changed.timeouts, name).nanos = round(value % 1 * 1e9) if value > 0 else 0

    assert rejection(update(changed)) == f"timeouts.{name} is {shown} s; it must be above 0 and at most 1800 s"


@given(st.binary(max_size=200))
def test_bytes_of_any_kind_are_read_or_rejected(raw: bytes) -> None:
    """The stored snapshot of a damaged disk must not keep a sidecar from starting."""
    changed = update(snapshot())
    try:
        changed.MergeFromString(raw)
    except Exception:  # noqa: BLE001 - protobuf's own refusal; what it accepts is the test
        return
    with contextlib.suppress(SnapshotRejectedError):
        read_snapshot(changed)
