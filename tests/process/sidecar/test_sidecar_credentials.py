"""What reaches a provider: the key that the operator gave, and nothing that the app or the environment holds."""

import json

import pytest

from pointsman_api.v1 import completions_pb2, types_pb2
from pointsman_stub import Fault, StubProvider, fingerprint
from support.answers import streamed
from support.completions import ask
from support.sidecars import Sidecar, running_sidecar
from support.snapshots import flagship, mini, provider, snapshot

KEY = "sk-of-these-tests"
FOREIGN = {
    "OPENAI_API_KEY": "sk-canary-of-the-environment",
    "OPENAI_ADMIN_KEY": "sk-canary-admin",
    "OPENAI_ORG_ID": "canary-org",
    "OPENAI_PROJECT_ID": "canary-project",
    "OPENAI_BASE_URL": "http://127.0.0.1:9/canary",
    "OPENAI_CUSTOM_HEADERS": "x-canary: canary-header\nAuthorization: Bearer sk-canary-header",
}


@pytest.fixture(autouse=True)
def foreign_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """An environment that belongs to somebody else's use of the SDK."""
    for name, value in FOREIGN.items():
        monkeypatch.setenv(name, value)


async def _both_ways(sidecar: Sidecar, request: completions_pb2.CompleteRequest) -> None:
    """Ask for a whole answer and for a stream."""
    await sidecar.app.Complete(request)
    _, error = await streamed(sidecar.app.CompleteStream(request))
    assert error is None


async def test_the_operators_key_is_sent_and_nothing_of_the_environment(stub: StubProvider, sidecar: Sidecar) -> None:
    await _both_ways(sidecar, ask())

    assert [each.key.fingerprint for each in stub.requests] == [fingerprint(KEY)] * 2
    for each in stub.requests:
        assert "canary" not in json.dumps(each.json()).lower()
        assert "openai-organization" not in each.headers
        assert "openai-project" not in each.headers


async def test_a_provider_that_asks_for_no_key_is_sent_none() -> None:
    async with (
        StubProvider.running() as stub,
        running_sidecar(content=snapshot(base_url=stub.base_url), access={"openai": ""}) as sidecar,
    ):
        await _both_ways(sidecar, ask())

    assert [each.key.given for each in stub.requests] == [False, False]
    for each in stub.requests:
        assert "canary" not in json.dumps(each.json()).lower()


async def test_each_provider_is_sent_its_own_key() -> None:
    async with (
        StubProvider.running(api_keys=["sk-a"]) as first,
        StubProvider.running(api_keys=["sk-b"]) as second,
        running_sidecar(access={"first": "sk-a", "second": "sk-b"}) as sidecar,
    ):
        sidecar.apply(
            snapshot(
                providers=[
                    provider(name="first", base_url=first.base_url),
                    provider(name="second", base_url=second.base_url),
                ],
                models=[mini(provider="first"), flagship(provider="second")],
            )
        )
        first.set_faults(Fault(status=503))

        await _both_ways(sidecar, ask())

    assert {each.key.fingerprint for each in first.requests} == {fingerprint("sk-a")}
    assert {each.key.fingerprint for each in second.requests} == {fingerprint("sk-b")}


async def test_a_new_key_is_used_by_the_next_request(stub: StubProvider, sidecar: Sidecar) -> None:
    sidecar.in_force.access = {"openai": "sk-old"}
    with pytest.raises(Exception, match="401"):
        await sidecar.app.Complete(ask())

    sidecar.in_force.access = {"openai": KEY}
    await sidecar.app.Complete(ask())

    assert [each.key.fits for each in stub.requests] == [False, False, True]


@pytest.mark.parametrize("key", ["sk-line\n", "sk-ключ"], ids=["a line break", "letters that no header can hold"])
async def test_a_key_that_cannot_be_sent_is_the_providers_failure_and_stays_out_of_the_answer(
    stub: StubProvider, key: str
) -> None:
    async with running_sidecar(access={"bad": key, "openai": KEY}) as sidecar:
        sidecar.apply(
            snapshot(
                providers=[provider(name="bad", base_url=stub.base_url), provider(base_url=stub.base_url)],
                models=[mini(provider="bad"), flagship()],
            )
        )

        decision = (await sidecar.app.Complete(ask())).decision

    assert decision.model == "flagship"
    assert decision.attempts[0].message == "the provider's key cannot be sent: it holds what no header can"
    assert "sk-" not in str(decision)


async def test_hints_are_for_the_routing_alone(stub: StubProvider, sidecar: Sidecar) -> None:
    hints = completions_pb2.RoutingHints(
        user="canary-user",
        session="canary-session",
        severity=types_pb2.SEVERITY_HIGH,
        metadata={"canary-key": "canary-value"},
    )

    await _both_ways(sidecar, ask("Hi", hints=hints))

    for each in stub.requests:
        assert "canary" not in json.dumps(each.json())
        assert each.body["messages"] == [{"role": "user", "content": "Hi"}]


async def test_an_apps_headers_end_at_the_door(stub: StubProvider, sidecar: Sidecar) -> None:
    metadata = (
        ("authorization", "Bearer canary-app"),
        ("cookie", "canary=1"),
        ("x-canary", "canary"),
        ("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
    )

    await sidecar.app.Complete(ask(), metadata=metadata)

    (received,) = stub.requests
    assert "canary" not in json.dumps(received.json())
    assert received.key.fingerprint == fingerprint(KEY)


async def test_a_provider_is_called_once_per_attempt_and_asked_for_json(stub: StubProvider, sidecar: Sidecar) -> None:
    """The SDK's own retries are off: an attempt is one call, or the policy's patience would not hold."""
    stub.set_faults(Fault(model="gpt-4o-mini", status=500))

    await sidecar.app.Complete(ask())

    assert [each.model for each in stub.requests] == ["gpt-4o-mini", "gpt-4o"]
    for each in stub.requests:
        assert (each.method, each.path) == ("POST", "/v1/chat/completions")
        assert each.headers["content-type"] == "application/json"
