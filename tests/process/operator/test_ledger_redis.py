"""The ledger in a real Redis: the store, what it refuses, and what a server that is killed loses."""

import asyncio
import contextlib
import itertools
import re
import shutil
import signal
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID
from prometheus_client import CollectorRegistry

from pointsman_operator.ledger import eras
from pointsman_operator.ledger.accounts import Account, Stamp
from pointsman_operator.ledger.answering import Terms
from pointsman_operator.ledger.messages import BlockState, Call, Item, Reply, Said
from pointsman_operator.quotas import (
    Asked,
    Keeper,
    LedgerMetrics,
    Movable,
    RedisEndpoint,
    RedisStore,
    Store,
    StoreConflictError,
    StoreMetrics,
    StoreUnavailableError,
)
from pointsman_operator.tls.certificates import KeyPair, make_authority, make_leaf
from support.quota.store_suite import DAY, FenceSuite, Open, OpenMovable, StoreSuite, account, key
from support.redis.binaries import Binary, find_or_skip
from support.redis.servers import DURABLE, RedisServer, running
from support.waiting import until

_PREFIXES = (f"test-{number}" for number in itertools.count())


@pytest.fixture(scope="module")
def binary() -> Binary:
    """A server's program."""
    return find_or_skip()


@pytest.fixture(scope="module")
def server(binary: Binary, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """One that all is well with."""
    with running(binary, tmp_path_factory.mktemp("redis")) as server:
        yield server


@pytest.fixture
def endpoint(server: RedisServer) -> RedisEndpoint:
    """A ledger of a test's own on it."""
    return replace(server.endpoint, prefix=next(_PREFIXES))


def store_at(endpoint: RedisEndpoint, *, minded: bool = True) -> RedisStore:
    """A store that is not connected yet."""
    return RedisStore(endpoint, metrics=StoreMetrics(CollectorRegistry()), minded=minded)


@contextlib.asynccontextmanager
async def opened(endpoint: RedisEndpoint) -> AsyncIterator[RedisStore]:
    """A store, closed at the end."""
    store = store_at(endpoint)
    try:
        yield store
    finally:
        await store.close()


class TestRedis(StoreSuite, FenceSuite):
    """Accounts in Redis."""

    @pytest.fixture
    async def open_movable(self, endpoint: RedisEndpoint) -> AsyncIterator[OpenMovable]:  # type: ignore[override]
        stores: list[RedisStore] = []

        async def open_one(*, minded: bool) -> Movable:
            stores.append(store_at(endpoint, minded=minded))
            return stores[-1]

        yield open_one
        for each in stores:
            await each.close()

    @pytest.fixture
    def open_store(self, open_movable: OpenMovable) -> Open:
        async def open_one() -> Store:
            return await open_movable(minded=True)

        return open_one


async def test_of_two_writers_each_write_counts_once(endpoint: RedisEndpoint) -> None:
    async def add(store: RedisStore) -> None:
        for _ in range(100):
            while True:
                spent = (await store.read()).get(key(), Account()).spent
                with contextlib.suppress(StoreConflictError):
                    await store.write({key(): account(1, spent=spent + 1)})
                    break

    async with opened(endpoint) as first, opened(endpoint) as second:
        await asyncio.gather(add(first), add(second))

        assert (await first.read())[key()].spent == 200


async def test_a_group_is_written_whole_or_not_at_all(endpoint: RedisEndpoint) -> None:
    async with opened(endpoint) as first, opened(endpoint) as second:
        await first.read()
        await second.read()
        await first.write({key("taken"): account()})

        with pytest.raises(StoreConflictError, match="another replica wrote first"):
            await second.write({key("free"): account(), key("taken"): account()})

        assert await second.read() == {key("taken"): account()}


async def test_an_account_that_was_dropped_and_made_again_is_another(endpoint: RedisEndpoint) -> None:
    async with opened(endpoint) as first, opened(endpoint) as second:
        await first.read()
        await first.write({key(): account(1)})
        await second.read()
        await first.write({key(): None})
        await first.write({key(): account(1, spent=5)})

        with pytest.raises(StoreConflictError):
            await second.write({key(): account(2)})


async def test_scripts_that_the_server_forgot_are_sent_again(server: RedisServer, endpoint: RedisEndpoint) -> None:
    async with opened(endpoint) as store:
        await store.read()
        await store.write({key(): account(1)})
        server.ask("SCRIPT", "FLUSH")
        await store.write({key(): account(2)})

        assert await store.read() == {key(): account(2)}


async def test_two_clusters_share_a_server_by_their_prefixes(endpoint: RedisEndpoint) -> None:
    async with opened(endpoint) as one, opened(replace(endpoint, prefix="other")) as other:
        await one.read()
        await one.write({key(): account()})

        assert await other.read() == {}


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("appendfsync", "everysec"),
        ("appendonly", "no"),
        ("no-appendfsync-on-rewrite", "yes"),
        ("maxmemory-policy", "allkeys-lru"),
    ],
)
async def test_a_server_that_may_lose_what_it_confirmed_is_not_used_until_that_is_mended(
    name: str, wrong: str, server: RedisServer, endpoint: RedisEndpoint
) -> None:
    server.ask("CONFIG", "SET", name, wrong)
    try:
        async with opened(replace(endpoint, trusted=True)) as store:
            with pytest.raises(StoreUnavailableError, match=f"Redis at .* has {name} {wrong}: it may lose"):
                await store.read()

            server.ask("CONFIG", "SET", name, DURABLE.get(name, "no"))
            assert await store.read() == {}
    finally:
        server.ask("CONFIG", "SET", name, DURABLE.get(name, "no"))


async def test_a_server_that_hides_its_settings_is_used_only_by_who_says_so(binary: Binary, tmp_path: Path) -> None:
    with running(binary, tmp_path, rename_command='CONFIG ""') as hiding:
        async with opened(hiding.endpoint) as store:
            with pytest.raises(StoreUnavailableError, match="say so with --ledger-redis-trust-durability"):
                await store.read()
        async with opened(replace(hiding.endpoint, trusted=True)) as store:
            assert await store.read() == {}
            await store.write({key(): account()})


async def test_one_that_is_full_says_so(binary: Binary, tmp_path: Path) -> None:
    with running(binary, tmp_path) as full:
        async with opened(full.endpoint) as store:
            await store.read()
            full.ask("CONFIG", "SET", "maxmemory", "1")
            with pytest.raises(StoreUnavailableError, match="is full: raise its maxmemory"):
                await store.write({key(): account()})
            full.ask("CONFIG", "SET", "maxmemory", "0")
            await store.read()
            await store.write({key(): account()})


async def test_an_awaited_ledger_is_not_begun(endpoint: RedisEndpoint) -> None:
    async with opened(replace(endpoint, awaits_import=True)) as awaiting, opened(endpoint) as other:
        with pytest.raises(
            StoreUnavailableError, match=r"has no ledger yet, .* until `pointsman-operator ledger import`"
        ):
            await awaiting.read()
        await other.read()
        assert await awaiting.read() == {}


async def test_what_was_confirmed_is_there_after_kill_9_under_load(binary: Binary, tmp_path: Path) -> None:
    names = [key(f"q{number}") for number in range(8)]
    with running(binary, tmp_path) as server:
        stores = [store_at(replace(server.endpoint, prefix=f"p{number}")) for number in range(4)]
        confirmed = dict.fromkeys(range(4), 0)

        async def load(number: int) -> None:
            await stores[number].read()
            while True:
                written = {name: account(confirmed[number] + 1) for name in names}
                await stores[number].write(written)
                confirmed[number] += 1

        for _ in range(3):
            goal = max(confirmed.values()) + 50
            tasks = [asyncio.create_task(load(number)) for number in range(4)]
            await until(lambda goal=goal: min(confirmed.values()) >= goal, within=60)  # type: ignore[misc]
            eras_before = [store.era.number for store in stores]
            await asyncio.to_thread(server.kill)
            results = await asyncio.gather(*tasks, return_exceptions=True)
            assert all(isinstance(result, StoreUnavailableError) for result in results), results
            await asyncio.to_thread(server.start)
            for number, store in enumerate(stores):
                found = {each.version for each in (await store.read()).values()}
                # What was under way may have been written, but then all of it.
                assert len(found) == 1
                assert found <= {confirmed[number], confirmed[number] + 1}
                confirmed[number] = found.pop()
                assert store.era.number > eras_before[number]
        for store in stores:
            await store.close()


async def test_another_run_of_the_server_is_noticed_by_the_write_itself(binary: Binary, tmp_path: Path) -> None:
    with running(binary, tmp_path) as server:
        async with opened(server.endpoint) as store:
            await store.read()
            await store.write({key(): account(1)})
            first = store.era
            server.stop()
            server.start()
            # The connection is made anew without a word, as by a proxy.
            await store.close()

            with pytest.raises(StoreConflictError, match="it is another server than before"):
                await store.write({key(): account(2)})

            assert await store.read() == {key(): account(1)}
            assert store.era.number > first.number
            await store.write({key(): account(2)})


async def test_a_server_that_was_emptied_begins_another_era(server: RedisServer, endpoint: RedisEndpoint) -> None:
    async with opened(endpoint) as store:
        await store.read()
        await store.write({key(): account(1)})
        first = store.era
        server.ask("FLUSHALL")

        with pytest.raises(StoreConflictError):
            await store.write({key(): account(2)})

        assert await store.read() == {}
        assert store.era.number > first.number


async def test_a_server_that_hangs_is_waited_for_so_long_and_its_late_write_hurts_nobody(
    binary: Binary, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pointsman_operator.quotas.redis_endpoint._ANSWER_SECONDS", 0.5)
    with running(binary, tmp_path) as server:
        assert server.process is not None
        async with opened(server.endpoint) as store:
            await store.read()
            await store.write({key(): account(1)})
            server.process.send_signal(signal.SIGSTOP)
            with pytest.raises(StoreUnavailableError, match=r"Redis at .* cannot be used"):
                await store.write({key(): account(2)})
            server.process.send_signal(signal.SIGCONT)

            there = (await store.read())[key()].version
            assert there in {1, 2}
            while True:
                try:
                    await store.write({key(): account(there + 1)})
                except StoreConflictError:
                    there = (await store.read())[key()].version
                else:
                    break
            assert (await store.read())[key()] == account(there + 1)


async def test_the_password_is_read_from_its_file_for_each_connection_and_never_shown(
    binary: Binary, tmp_path: Path
) -> None:
    file = tmp_path / "password"
    with running(binary, tmp_path / "redis", requirepass="first-secret") as server:
        endpoint = replace(server.endpoint, password_file=file)
        async with opened(endpoint) as store:
            with pytest.raises(StoreUnavailableError, match=r"password of Redis in .*password cannot be read: No such"):
                await store.read()
            file.write_text("wrong-secret\n")
            with pytest.raises(StoreUnavailableError, match="invalid username-password pair") as refused:
                await store.read()
            assert "wrong-secret" not in repr(refused.value)
            file.write_text("first-secret\n")
            assert await store.read() == {}

            server.settings["requirepass"] = "second-secret"
            server.kill()
            server.start()
            file.write_text("second-secret\n")
            with contextlib.suppress(StoreUnavailableError):
                await store.read()
            assert await store.read() == {}
        assert "secret" not in repr(endpoint).replace(str(file), "")


DOCS = (Path(__file__).parents[3] / "docs/quotas.md").read_text()


async def test_a_user_with_the_rights_that_the_docs_name_is_enough(
    server: RedisServer, endpoint: RedisEndpoint, tmp_path: Path
) -> None:
    named = DOCS.partition("Its user needs the commands ")[2].partition(", and the keys")[0]
    commands = re.findall(r"`([A-Z|]+)`", named)
    assert "EVALSHA" in commands
    allowed = [f"+{command.lower()}" for command in commands]
    keys = f"~{{{endpoint.prefix}}}:*"
    assert server.ask("ACL", "SETUSER", "ledger", "on", ">a-secret", keys, "-@all", *allowed) == "+OK\r\n"
    await asyncio.to_thread((file := tmp_path / "password").write_text, "a-secret")
    user = replace(endpoint, username="ledger", password_file=file)
    async with opened(user) as store:
        await store.read()
        await store.write({key(): account(1)})
        await store.write({key(): None})
        await store.put_fence(None)
        assert await store.fence() is None
    async with opened(replace(user, prefix="not-mine")) as store:
        with pytest.raises(StoreUnavailableError, match="cannot be used"):
            await store.read()


@pytest.fixture
def certificates(tmp_path: Path) -> Path:
    """A CA, a server's certificate of it, and a client's."""
    folder = tmp_path / "certificates"
    folder.mkdir()
    now = datetime.now(UTC)
    authority = make_authority(now=now, lifetime=timedelta(days=1))
    leaf = make_leaf(authority, names=["127.0.0.1"], now=now, lifetime=timedelta(hours=1))
    client = client_of(authority, now=now)
    files = {"ca": authority.certificate, "server": leaf.certificate, "tls": client.certificate}
    for name, certificate in files.items():
        (folder / f"{name}.crt").write_bytes(certificate)
    (folder / "server.key").write_bytes(leaf.key)
    (folder / "tls.key").write_bytes(client.key)
    return folder


def client_of(authority: KeyPair, *, now: datetime) -> KeyPair:
    """A client's certificate."""
    key = ec.generate_private_key(ec.SECP256R1())
    issuer = x509.load_pem_x509_certificate(authority.certificate)
    signer = serialization.load_pem_private_key(authority.key, password=None)
    assert isinstance(signer, ec.EllipticCurvePrivateKey)
    certificate = (
        x509.CertificateBuilder()
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .subject_name(x509.Name([]))
        .issuer_name(issuer.subject)
        .public_key(key.public_key())
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("operator")]), critical=True)
        .sign(signer, hashes.SHA256())
    )
    encoding = serialization.Encoding.PEM
    private = key.private_bytes(encoding, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return KeyPair(certificate=certificate.public_bytes(encoding), key=private)


async def test_by_tls_both_know_each_other(binary: Binary, certificates: Path, tmp_path: Path) -> None:
    tls = {
        "tls-cert-file": str(certificates / "server.crt"),
        "tls-key-file": str(certificates / "server.key"),
        "tls-ca-cert-file": str(certificates / "ca.crt"),
        "tls-auth-clients": "yes",
    }
    with RedisServer(binary=binary, folder=tmp_path / "redis", tls=tls) as server:
        endpoint = replace(server.endpoint, tls=True, tls_folder=certificates)
        async with opened(endpoint) as store:
            await store.read()
            await store.write({key(): account()})
        stranger = tmp_path / "stranger"
        stranger.mkdir()
        for match, files in (
            ("holds no ca.crt, by which Redis at", ()),
            ("cannot be used", ("ca.crt",)),
            ("holds one of tls.crt and tls.key", ("ca.crt", "tls.crt")),
        ):
            for name in files:
                shutil.copy(certificates / name, stranger)
            async with opened(replace(endpoint, tls_folder=stranger)) as store:
                with pytest.raises(StoreUnavailableError, match=match):
                    await store.read()
        # By the system's CAs it is not known.
        async with opened(replace(endpoint, tls_folder=None)) as store:
            with pytest.raises(StoreUnavailableError, match="certificate verify failed"):
                await store.read()


@dataclass
class Ledger:
    """A keeper on a real Redis, whose calendar is moved by hand."""

    store: RedisStore
    now: float = DAY / 2
    replies: list[Reply] = field(default_factory=list)
    sessions: int = 0
    calls: int = 0

    def keeper(self) -> Keeper:
        """The keeper, which leads."""
        made = Keeper(
            self.store,
            now=lambda: self.now,
            clock=lambda: self.now,
            fresh_session=self._fresh,
            metrics=LedgerMetrics(CollectorRegistry()),
        )
        made.begin()
        return made

    async def ask(self, keeper: Keeper, *items: Item, session: int = 0, declares: bool = False) -> Reply:
        """Ask as a sidecar does, again until there is an answer."""
        terms: Mapping[str, Terms] = {key().budget: Terms(unit="Tokens", limit=1000, has_window=lambda _: True)}
        self.calls += 1
        call = Call(
            id=self.calls, holder="uid/a", session=session, declares=declares, high=1 if declares else 0, items=items
        )
        asked = Asked(call=call, terms=lambda: terms, reply=lambda reply, _: self.replies.append(reply), nudge=_nothing)
        while not self.replies or self.replies[-1].id != call.id:
            keeper.submit(asked)
            with contextlib.suppress(TimeoutError):
                await until(lambda: bool(self.replies) and self.replies[-1].id == call.id, within=1)
        return self.replies[-1]

    def _fresh(self) -> int:
        self.sessions += 1
        return self.sessions


def _nothing() -> None:
    """Nobody to nudge."""


@pytest.mark.parametrize("forgets", [False, True], ids=["keeps", "forgets"])
async def test_after_another_run_sidecars_declare_what_they_hold_before_more_is_granted(
    binary: Binary, tmp_path: Path, *, forgets: bool
) -> None:
    with running(binary, tmp_path) as server:
        ledger = Ledger(store_at(server.endpoint))
        keeper = ledger.keeper()
        task = asyncio.create_task(keeper.run())
        try:
            session = (await ledger.ask(keeper)).session
            await ledger.ask(keeper, session=session, declares=True)
            # So is a server that is new: none can tell it from one that was emptied.
            ledger.now += eras.PAUSE_SECONDS
            wish = Item(key=key(), serial=2, said=Said(), total=900, needed=900)
            block = (await ledger.ask(keeper, wish, session=session)).verdicts[0]
            assert (block.state, block.granted) == (BlockState.OPEN, 900)

            server.kill()
            if forgets:
                shutil.rmtree(tmp_path / "appendonlydir")
            server.start()
            held = replace(wish, granted=900, created=block.created, said=Said(used=300), total=1000, needed=1000)
            answer = await ledger.ask(keeper, held, session=session)
            assert answer.declare
            again = await ledger.ask(keeper, held, session=answer.session, declares=True)
            # It is taken over, and as yet no more is granted.
            assert again.verdicts[0].granted == 900
            assert await ledger.ask(keeper, replace(held, created=again.verdicts[0].created), session=answer.session)
            assert ledger.replies[-1].verdicts[0].granted == 900

            ledger.now += eras.PAUSE_SECONDS
            more = await ledger.ask(keeper, replace(held, created=again.verdicts[0].created), session=answer.session)
            assert more.verdicts[0].granted == 1000
            async with opened(server.endpoint) as other:
                assert (await other.read())[key()].committed == 1000
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


async def test_accounts_whose_eras_are_ahead_of_the_servers_clock_push_it_on(endpoint: RedisEndpoint) -> None:
    ahead = Account(version=3, era=2**50, forks=(Stamp(era=2**50, version=1),))
    async with opened(endpoint) as first, opened(endpoint) as second:
        await first.read()
        await first.write({key(): ahead})

        assert await second.read() == {key(): ahead}
        assert second.era.number >= 2**50
