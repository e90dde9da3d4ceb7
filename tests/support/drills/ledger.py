"""`python -m support.drills.ledger`: a ledger in a process of its own, to be killed.

What keeps it is the operator's own: keeper, router, service, store. Policies come from a canned operator beside it.
"""

import argparse
import asyncio
import random
import sys
import time
from collections.abc import Callable
from pathlib import Path

from prometheus_client import CollectorRegistry

from pointsman_api.v1 import control_pb2
from pointsman_operator.push import ClaimedIdentity, Hub, HubMetrics
from pointsman_operator.quotas import (
    Binding,
    Keeper,
    LedgerMetrics,
    QuotasService,
    RedisEndpoint,
    RedisStore,
    Router,
    SqliteStore,
    Store,
    StoreMetrics,
)
from pure.operator.objects import OPERATOR_NAMESPACE, policy, provider, quota, world
from support.operators import FakeOperator, running_operator
from support.snapshots import snapshot, update

_USER_KEY = bytes(32)


def serving(limit: int, *, store: Store, random_number: Callable[[], float]) -> tuple[Keeper, QuotasService]:
    """A ledger with one budget of tokens for the namespace shop."""
    registry = CollectorRegistry()
    hub = Hub(secrets_namespace=OPERATOR_NAMESPACE, metrics=HubMetrics(registry))
    hub.update(
        world(policies=[policy()], providers=[provider()], quotas=[quota(window="Month", limit={"tokens": limit})])
    )
    keeper = Keeper(
        store,
        now=time.time,
        clock=time.monotonic,
        fresh_session=time.time_ns,
        metrics=LedgerMetrics(registry),
    )
    binding = Binding(hub, now=time.time)
    service = QuotasService(
        hub,
        identifier=ClaimedIdentity(),
        router=Router(keeper, binding=binding),
        binding=binding,
        user_key=lambda: _USER_KEY,
        random=random_number,
    )
    return keeper, service


async def welcome(operator: FakeOperator, provider_url: str) -> None:
    """Give every sidecar that comes a policy and access to the provider."""
    content = update(snapshot(base_url=provider_url))
    access = control_pb2.AccessUpdate(providers=[control_pb2.ProviderAccess(provider="openai", api_key="k")])
    while True:
        connection = await operator.opened.get()
        connection.send(access=access)
        connection.send(snapshot=content)


async def main() -> None:
    """Serve until killed."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--limit", type=int, required=True)
    where = parser.add_mutually_exclusive_group(required=True)
    where.add_argument("--folder", type=Path)
    where.add_argument("--redis", type=int, metavar="PORT")
    parser.add_argument("--provider", required=True)
    given = parser.parse_args()
    store: Store = SqliteStore(given.folder or Path())
    if given.redis:
        endpoint = RedisEndpoint(host="127.0.0.1", port=given.redis)
        store = RedisStore(endpoint, metrics=StoreMetrics(CollectorRegistry()))
    keeper, service = serving(given.limit, store=store, random_number=random.random)
    keeper.begin()
    async with running_operator(port=given.port, quotas=service) as operator:
        sys.stderr.write(f"ready {operator.address}\n")
        sys.stderr.flush()
        await asyncio.gather(keeper.run(), welcome(operator, given.provider))


if __name__ == "__main__":
    asyncio.run(main())
