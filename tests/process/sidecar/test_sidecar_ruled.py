"""Rules at work in a sidecar: what a header, a word and an expression change, and what is counted of it."""

import json
from collections.abc import AsyncIterator

import aiohttp
import pytest

from pointsman_api.v1 import completions_pb2, snapshot_pb2, types_pb2
from pointsman_stub import StubProvider
from support.completions import ask
from support.sidecars import Sidecar, running_sidecar, sample
from support.snapshots import snapshot

KEY = "sk-of-these-tests"
GOLD = snapshot_pb2.HeaderMatcher(name="x-tier")
getattr(GOLD, "in").values.append("gold")
LEGAL = snapshot_pb2.DomainMatcher(**{"in": [types_pb2.DOMAIN_LEGAL]})


def routes() -> list[snapshot_pb2.Route]:
    """Three rules, each to the flagship."""
    matchers = {
        "gold": snapshot_pb2.Matcher(header=GOLD),
        "legal": snapshot_pb2.Matcher(domain=LEGAL),
        "topic": snapshot_pb2.Matcher(expression="request.metadata['topic'] == 'tax'"),
    }
    return [
        snapshot_pb2.Route(
            name=name, when=snapshot_pb2.Condition(all=[matcher]), arms=[snapshot_pb2.Arm(model="flagship", weight=1)]
        )
        for name, matcher in matchers.items()
    ]


def content(base_url: str) -> snapshot_pb2.Snapshot:
    """A policy with these rules, which looks for risk."""
    made = snapshot(base_url=base_url, routes=routes())
    made.risk.lexicons.extend(["en"])
    return made


@pytest.fixture
async def ruled(stub: StubProvider) -> AsyncIterator[Sidecar]:
    """A sidecar under these rules."""
    async with running_sidecar(content=content(stub.base_url), access={"openai": KEY}) as running:
        yield running


def hits(sidecar: Sidecar, route: str) -> float | None:
    return sample(sidecar.metrics.registry, "pointsman_route_hits_total", policy="shop/support", route=route)


async def test_metadata_of_a_grpc_call_is_its_headers(ruled: Sidecar) -> None:
    gold = await ruled.app.Complete(ask(), metadata=(("x-tier", "gold"),))
    plain = await ruled.app.Complete(ask())
    explained = await ruled.app.Explain(ask(), metadata=(("x-tier", "gold"),))

    assert [gold.decision.route, plain.decision.route, explained.decision.route] == ["gold", "", "gold"]


async def test_headers_of_an_http_request_are_told_and_go_no_further(ruled: Sidecar, stub: StubProvider) -> None:
    body = {"messages": [{"role": "user", "content": "Hello"}]}
    async with aiohttp.ClientSession() as http:
        answer = await http.post(f"{ruled.http_url}/chat/completions", json=body, headers={"X-Tier": "gold"})

    assert answer.headers["x-pointsman-route"] == "gold"
    assert "x-tier" not in json.dumps([sorted(request.headers) for request in stub.requests]).lower()


async def test_risk_goes_up_and_stands_in_the_decision(ruled: Sidecar) -> None:
    decision = (await ruled.app.Complete(ask("I was served with a lawsuit"))).decision

    assert (decision.route, decision.model) == ("legal", "flagship")
    assert list(decision.risk.domains) == [types_pb2.DOMAIN_LEGAL]
    assert (decision.risk.severity, decision.risk.found) == (types_pb2.SEVERITY_HIGH, True)


async def test_risk_stands_in_the_body_over_http(ruled: Sidecar) -> None:
    body = {"messages": [{"role": "user", "content": "May I break my lease early?"}]}
    async with aiohttp.ClientSession() as http:
        headers = {"x-pointsman-decision": "body"}
        answer = await http.post(f"{ruled.http_url}/chat/completions", json=body, headers=headers)
        told = await answer.json()

    assert told["pointsman"]["risk"] == {"domains": ["legal"], "severity": "medium", "found": True}


async def test_hits_are_counted_and_so_are_expressions_that_fail(ruled: Sidecar) -> None:
    tax = completions_pb2.RoutingHints(metadata={"topic": "tax"})
    for request in (ask(hints=tax), ask(hints=tax), ask()):
        await ruled.app.Complete(request)
    await ruled.app.Explain(ask(hints=tax))

    failed = sample(ruled.metrics.registry, "pointsman_expression_failures_total", policy="shop/support", route="topic")
    assert (hits(ruled, "topic"), failed) == (2, 1)
