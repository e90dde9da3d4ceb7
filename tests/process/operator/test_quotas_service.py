"""Budgets over real streams: what sidecars are told, and that all of them together spend no more than there is."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import grpc
import pytest
from prometheus_client import CollectorRegistry

from pointsman_api.v1 import control_pb2 as control
from pointsman_api.v1 import quota_pb2 as pb
from pointsman_api.v1 import quota_pb2_grpc
from pointsman_operator.compile import quota_of
from pointsman_operator.ledger.accounts import Account, AccountKey
from pointsman_operator.ledger.windows import Window
from pointsman_operator.push import ClaimedIdentity, Hub, HubMetrics
from pointsman_operator.quotas import (
    Binding,
    Keeper,
    LedgerMetrics,
    MemoryStore,
    QuotasService,
    Router,
    SqliteStore,
    Store,
    StoreFullError,
    StoreUnavailableError,
)
from pointsman_operator.quotas import keeper as keeper_module
from pointsman_operator.quotas.stores import SharedMemory
from pointsman_operator.resources import Key, Kind, TokenQuota
from pointsman_operator.world import Change
from pure.operator.objects import OPERATOR_NAMESPACE, Json, policy, provider, quota, world
from support.quota.exchanges import EndedError, Sidecar, keep_streaming
from support.waiting import until

USER_KEY = bytes(32)


@dataclass
class Plane:
    """An operator without a cluster: a hub, a ledger, and a real server."""

    hub: Hub
    keeper: Keeper
    address: str
    registry: CollectorRegistry
    moved: set[Key] = field(default_factory=set)

    def write(self, value: Json) -> None:
        """A quota was written."""
        self.hub.update(self.hub.world.observe(Kind.QUOTA, Change.WRITTEN, value))

    def channel(self) -> grpc.aio.Channel:
        """A channel to it."""
        return grpc.aio.insecure_channel(self.address)

    @property
    def strangers(self) -> float:
        """How many calls came from sidecars that it did not know."""
        return self.registry.get_sample_value("pointsman_operator_ledger_calls_total", {"result": "declare"}) or 0

    def used(self, name: str = "month") -> int:
        """What the ledger knows to be used of a quota of the day."""
        found = self.hub.world.quotas[Key("shop", name)]
        assert isinstance(found, TokenQuota)
        day = int(time.time() // 86_400) * 86_400
        return sum(each.used for each in self.keeper.standings(found, Window(day, day + 86_400)))


@asynccontextmanager
async def operating(
    store: Store, *quotas: Json, key: Callable[[], bytes | None] = lambda: USER_KEY
) -> AsyncIterator[Plane]:
    """One operator, which keeps the ledger."""
    registry = CollectorRegistry()
    hub = Hub(secrets_namespace=OPERATOR_NAMESPACE, metrics=HubMetrics(registry))
    hub.update(world(policies=[policy()], providers=[provider()], quotas=quotas))
    moved: set[Key] = set()
    sessions = iter(range(1, 1_000_000))
    keeper = Keeper(
        store,
        now=time.time,
        clock=time.monotonic,
        fresh_session=lambda: next(sessions) + time.monotonic_ns(),
        metrics=LedgerMetrics(registry),
        moved=lambda names: moved.update(map(quota_of, names)),
    )
    binding = Binding(hub, now=time.time)
    service = QuotasService(
        hub,
        identifier=ClaimedIdentity(),
        router=Router(keeper, binding=binding),
        binding=binding,
        user_key=key,
        random=lambda: 0.5,
    )
    server = grpc.aio.server()
    quota_pb2_grpc.add_QuotasServicer_to_server(service, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    keeper.begin()
    task = asyncio.create_task(keeper.run())
    try:
        yield Plane(hub=hub, keeper=keeper, address=f"127.0.0.1:{port}", registry=registry, moved=moved)
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        service.close()
        await server.stop(grace=1)


@asynccontextmanager
async def streaming(plane: Plane, *sidecars: Sidecar) -> AsyncIterator[None]:
    """Have these sidecars connected."""
    tasks = [
        asyncio.create_task(keep_streaming(each, plane.channel, pod=f"app-{each.incarnation}")) for each in sidecars
    ]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def spend_all(*sidecars: Sidecar, amount: int) -> None:
    """Have all of them spend until the ledger says that there is no more."""
    await asyncio.gather(*(each.spend_all(amount) for each in sidecars))


def bound_to(limit: int) -> Callable[[pb.Budgets], bool]:
    """Budgets of which the only one has this limit."""
    return lambda budgets: [each.limit for each in budgets.budgets] == [limit]


async def test_budgets_are_told_at_once_and_whenever_they_change() -> None:
    sidecar = Sidecar.fresh("a")
    async with operating(MemoryStore(), quota(limit={"tokens": 100})) as plane, streaming(plane, sidecar):
        told = await sidecar.until_told(bound_to(100))
        assert told.user_key == USER_KEY
        assert told.budgets[0].name == "TokenQuota/shop/month"
        assert len(told.budgets[0].windows) >= 3

        plane.write(quota(version=2, generation=2, limit={"tokens": 70}))
        await sidecar.until_told(bound_to(70))
        plane.write(quota(version=3, generation=3, selector={"matchLabels": {"app": "other"}}))
        await sidecar.until_told(lambda budgets: not budgets.budgets)


async def test_several_sidecars_spend_all_there_is_and_no_more() -> None:
    sidecars = [Sidecar.fresh(name) for name in "abcde"]
    async with operating(MemoryStore(), quota(limit={"tokens": 5000})) as plane, streaming(plane, *sidecars):
        await spend_all(*sidecars, amount=10)

        assert 4900 <= sum(each.spent for each in sidecars) <= 5000
        await asyncio.gather(*(each.settle_all() for each in sidecars))
        await until(lambda: plane.used() == sum(each.spent for each in sidecars))
        assert plane.moved == {Key("shop", "month")}


async def test_a_limit_that_is_raised_frees_who_was_refused() -> None:
    sidecar = Sidecar.fresh("a")
    async with operating(MemoryStore(), quota(limit={"tokens": 100})) as plane, streaming(plane, sidecar):
        await spend_all(sidecar, amount=10)
        assert sidecar.spent == 100

        plane.write(quota(version=2, generation=2, limit={"tokens": 200}))
        await sidecar.until_told(bound_to(200))
        async with asyncio.timeout(20):
            while await sidecar.spend(10) is not None:
                sidecar.changed.clear()
                await asyncio.sleep(0.05)


async def test_what_was_spent_outlives_a_restart(tmp_path: Path) -> None:
    sidecar = Sidecar.fresh("a")
    month = quota(limit={"tokens": 1000})
    async with operating(SqliteStore(tmp_path), month) as plane, streaming(plane, sidecar):
        for _ in range(30):
            assert await sidecar.spend(10) is None
    # It goes on with what it holds, and says so to whoever comes next.
    assert await sidecar.spend(10) is None
    other = Sidecar.fresh("b")
    async with operating(SqliteStore(tmp_path), month) as plane, streaming(plane, sidecar, other):
        await spend_all(sidecar, other, amount=10)
        assert sidecar.spent + other.spent <= 1000
        await asyncio.gather(sidecar.settle_all(), other.settle_all())
        await until(lambda: plane.used() == sidecar.spent + other.spent)


async def test_two_ledgers_on_one_store_grant_no_more_than_there_is() -> None:
    shared = SharedMemory()
    month = quota(limit={"tokens": 3000})
    here, there = [Sidecar.fresh(name) for name in "ab"], [Sidecar.fresh(name) for name in "cd"]
    async with (
        operating(MemoryStore(shared), month) as one,
        operating(MemoryStore(shared), month) as other,
        streaming(one, *here),
        streaming(other, *there),
    ):
        await spend_all(*here, *there, amount=10)

        assert 2900 <= sum(each.spent for each in (*here, *there)) <= 3000


@dataclass
class Unsure(MemoryStore):
    """Writes, and does not say so, as long as it is told to."""

    failures: int = 0
    full: bool = False

    def __post_init__(self) -> None:
        super().__init__()

    async def write(self, changes: Mapping[AccountKey, Account | None]) -> None:
        """Write, or not."""
        if self.full and any(account is not None and account.version > 1 for account in changes.values()):
            raise StoreFullError("the shelf is full", accounts=frozenset(changes))
        await super().write(changes)
        if self.failures:
            self.failures -= 1
            raise StoreUnavailableError("the answer was lost")


async def test_a_write_whose_answer_is_lost_is_not_made_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keeper_module, "RETRY_SECONDS", 0.01)
    monkeypatch.setattr("pointsman_sidecar.quota.speech.CALL_SECONDS", 0.3)
    store = Unsure(failures=2)
    sidecar = Sidecar.fresh("a")
    async with operating(store, quota(limit={"tokens": 100})) as plane, streaming(plane, sidecar):
        await spend_all(sidecar, amount=10)

        assert sidecar.spent == 100
        assert store.failures == 0


async def test_a_full_store_hears_what_is_given_back_and_says_why_it_grants_nothing() -> None:
    store = Unsure()
    sidecar = Sidecar.fresh("a")
    async with operating(store, quota(limit={"tokens": 10_000})) as plane, streaming(plane, sidecar):
        assert await sidecar.spend(10) is None
        store.full = True
        await spend_all(sidecar, amount=10)

        assert sidecar.messages[-1] == "the shelf is full"
        store.full = False
        await sidecar.settle_all()
        await until(lambda: plane.used() == sidecar.spent)


@pytest.mark.parametrize(
    ("hello", "code", "reason"),
    [
        (
            pb.QuotaHello(contract_version=2, incarnation="a"),
            grpc.StatusCode.FAILED_PRECONDITION,
            "this operator speaks version 1 of the contract and the sidecar version 2; bring the older of the two up to date",  # noqa: E501 - one sentence
        ),
        (
            pb.QuotaHello(contract_version=1, incarnation="a"),
            grpc.StatusCode.UNAUTHENTICATED,
            "the hello claims no identity; start the sidecar with its namespace and pod",
        ),
        (
            pb.QuotaHello(
                contract_version=1,
                claimed_identity=control.ClaimedIdentity(namespace="shop", pod="app"),
                incarnation="/",
            ),
            grpc.StatusCode.INVALID_ARGUMENT,
            "the hello's incarnation must be 1 to 128 letters, digits, dots, dashes, underscores",
        ),
    ],
)
async def test_a_hello_that_cannot_be_taken_is_refused(
    hello: pb.QuotaHello, code: grpc.StatusCode, reason: str
) -> None:
    async with operating(MemoryStore()) as plane, plane.channel() as channel:
        call = quota_pb2_grpc.QuotasStub(channel).Exchange()
        await call.write(pb.ExchangeRequest(hello=hello))
        assert (await call.code(), await call.details()) == (code, reason)


@pytest.mark.parametrize(
    "budget",
    [
        "TokenQuota/bank/month",
        "TokenQuota/shop/month/day",
        "TokenQuota/shop",
        "ModelProvider/openai",
        "ModelProvider/openai/tokens/more",
        "",
    ],
)
async def test_nobody_can_speak_of_budgets_that_are_not_the_namespaces(budget: str) -> None:
    async with operating(MemoryStore()) as plane, plane.channel() as channel:
        call = quota_pb2_grpc.QuotasStub(channel).Exchange()
        identity = control.ClaimedIdentity(namespace="shop", pod="app-1")
        hello = pb.QuotaHello(contract_version=1, claimed_identity=identity, incarnation="a")
        await call.write(pb.ExchangeRequest(hello=hello))
        report = pb.BlockReport(account=pb.AccountRef(budget=budget, unit="Tokens"), serial=1)
        await call.write(pb.ExchangeRequest(call=pb.QuotaCall(id=1, blocks=[report])))
        assert (await call.read()).HasField("budgets")

        assert await call.code() == grpc.StatusCode.INVALID_ARGUMENT
        assert await call.details() == "a call speaks of a budget that is not its namespace's"


@pytest.mark.parametrize("quotas", [(), (quota(),)], ids=["none", "one"])
@pytest.mark.parametrize("key", [USER_KEY, None], ids=["with a key for users", "before there is one"])
async def test_each_stream_begins_with_the_budgets_that_there_are(quotas: tuple[Json, ...], key: bytes | None) -> None:
    """Whatever the sidecar says meanwhile, and be there none: its requests wait for that."""
    async with operating(MemoryStore(), *quotas, key=lambda: key) as plane, plane.channel() as channel:
        for incarnation in ("a", "a", "b"):
            call = quota_pb2_grpc.QuotasStub(channel).Exchange()
            identity = control.ClaimedIdentity(namespace="shop", pod="app-1")
            hello = pb.QuotaHello(contract_version=1, claimed_identity=identity, incarnation=incarnation)
            await call.write(pb.ExchangeRequest(hello=hello))
            await call.write(pb.ExchangeRequest(call=pb.QuotaCall(id=1)))
            first, second = await heard(call), await heard(call)
            call.cancel()

            assert (first.WhichOneof("message"), second.WhichOneof("message")) == ("budgets", "reply")
            assert len(first.budgets.budgets) == len(quotas)
            assert first.budgets.user_key == (key or b"")


async def heard(call: "grpc.aio.StreamStreamCall[pb.ExchangeRequest, pb.ExchangeResponse]") -> pb.ExchangeResponse:
    """The next message."""
    async with asyncio.timeout(20):
        message = await call.read()
    assert isinstance(message, pb.ExchangeResponse)
    return message


async def test_budgets_of_users_are_not_told_before_there_is_a_key_for_users() -> None:
    keys: list[bytes] = []
    of_users = quota(scope="User")
    async with (
        operating(MemoryStore(), of_users, key=lambda: keys[-1] if keys else None) as plane,
        plane.channel() as channel,
    ):
        call = quota_pb2_grpc.QuotasStub(channel).Exchange()
        identity = control.ClaimedIdentity(namespace="shop", pod="app-1")
        hello = pb.QuotaHello(contract_version=1, claimed_identity=identity, incarnation="a")
        await call.write(pb.ExchangeRequest(hello=hello))
        await call.write(pb.ExchangeRequest(call=pb.QuotaCall(id=1)))
        await until(lambda: plane.strangers == 1)
        keys.append(USER_KEY)
        plane.write(quota("other", version=2))
        first = await heard(call)

    assert {each.shown: each.HasField("subject") for each in first.budgets.budgets} == {
        "TokenQuota shop/month": False,
        "TokenQuota shop/other": True,
    }
    assert first.budgets.user_key == USER_KEY


async def test_a_server_that_stops_sends_its_sidecars_on() -> None:
    sidecar = Sidecar.fresh("a")
    async with AsyncExitStack() as stack:
        plane = await stack.enter_async_context(operating(MemoryStore(), quota()))
        channel = await stack.enter_async_context(plane.channel())
        task = asyncio.create_task(sidecar.stream(channel, pod="app-1"))
        await sidecar.until_told(lambda budgets: len(budgets.budgets) == 1)
        await stack.aclose()
        with pytest.raises(EndedError):
            await task
