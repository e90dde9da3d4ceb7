"""`pointsman-operator ledger` between real stores: nothing is lost, and nothing is granted twice."""

import asyncio
import io
import os
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from pointsman_operator import ledger_command
from pointsman_operator.ledger.accounts import Account, AccountKey
from pointsman_operator.quotas import (
    Fence,
    Movable,
    RedisEndpoint,
    RedisStore,
    SqliteStore,
    StoreFencedError,
    StoreMetrics,
    StoreUnavailableError,
)
from support.quota.store_suite import account, key
from support.redis.binaries import find_or_skip
from support.redis.servers import running

BOOKS: Mapping[AccountKey, Account] = {
    key(): account(7, spent=123, holders=3),
    key("other", subject="Deployment/web", day=2): account(1),
    **{key(f"q{number}"): account(1, spent=number) for number in range(300)},
}


def command(*arguments: str, given: str = "") -> tuple[int, str]:
    """Run it: its exit code, and what it wrote."""
    told = io.StringIO()
    code = ledger_command.run(arguments, environ=os.environ, namespace="none", given=io.StringIO(given), told=told)
    return code, told.getvalue()


def read(store: Movable) -> Mapping[AccountKey, Account]:
    """What an operator reads of it."""

    async def reading() -> Mapping[AccountKey, Account]:
        try:
            return await store.read()
        finally:
            await store.close()

    return asyncio.run(reading())


def write(store: Movable, accounts: Mapping[AccountKey, Account]) -> None:
    """Write these, as an operator does."""

    async def writing() -> None:
        try:
            await store.read()
            await store.write(accounts)
        finally:
            await store.close()

    asyncio.run(writing())


def redis_store(endpoint: RedisEndpoint) -> RedisStore:
    """As the operator opens it."""
    return RedisStore(endpoint, metrics=StoreMetrics(CollectorRegistry()))


def test_from_a_file_to_redis_and_back_nothing_is_lost(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first, last = tmp_path / "first", tmp_path / "last"
    write(SqliteStore(first), BOOKS)
    with running(find_or_skip(), tmp_path / "redis") as server:
        url = f"redis://127.0.0.1:{server.port}"

        code, exported = command("export", f"sqlite:{first}")
        assert code == 0
        with pytest.raises(StoreFencedError):
            read(SqliteStore(first))
        # Again, after it was interrupted, it is the same.
        assert command("export", f"sqlite:{first}") == (0, exported)

        assert command("import", url, given=exported)[0] == 0
        assert "302 accounts are in Redis at 127.0.0.1" in capsys.readouterr().err
        assert read(redis_store(server.endpoint)) == BOOKS
        assert command("import", url, given=exported)[0] == 0, "an import that was done changes nothing"

        code, back = command("export", url)
        assert (code, back) == (0, exported)
        with pytest.raises(StoreFencedError, match="use the store that it was imported to"):
            read(redis_store(server.endpoint))
        assert command("import", f"sqlite:{last}", given=back)[0] == 0
        assert read(SqliteStore(last)) == BOOKS


def test_what_is_in_use_is_not_imported_over(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source, target = SqliteStore(tmp_path / "source"), SqliteStore(tmp_path / "target")
    write(source, BOOKS)
    write(target, {key(): account(8, spent=124)})
    _, exported = command("export", f"sqlite:{tmp_path / 'source'}")

    assert command("import", f"sqlite:{tmp_path / 'target'}", given=exported) == (1, "")

    assert "has 1 accounts that the file has not, or has otherwise" in capsys.readouterr().err
    assert read(target) == {key(): account(8, spent=124)}
    # Nor over what was exported itself.
    assert command("import", f"sqlite:{tmp_path / 'source'}", given=exported) == (1, "")
    assert "was exported itself" in capsys.readouterr().err


def test_an_import_that_was_broken_off_is_gone_on_with(tmp_path: Path) -> None:
    write(SqliteStore(tmp_path / "source"), BOOKS)
    _, exported = command("export", f"sqlite:{tmp_path / 'source'}")
    with running(find_or_skip(), tmp_path / "redis") as server:
        mover = RedisStore(server.endpoint, metrics=StoreMetrics(CollectorRegistry()), minded=False)
        asyncio.run(_half(mover))
        with pytest.raises(StoreFencedError, match="is being imported since"):
            read(redis_store(server.endpoint))

        assert command("import", f"redis://127.0.0.1:{server.port}", given=exported)[0] == 0
        assert read(redis_store(server.endpoint)) == BOOKS


async def _half(store: RedisStore) -> None:
    await store.put_fence(Fence(why="importing", at="noon"))
    await store.read()
    await store.write(dict(list(BOOKS.items())[:100]))
    await store.close()


def test_an_operator_that_awaits_the_import_grants_from_it_alone(tmp_path: Path) -> None:
    write(SqliteStore(tmp_path / "source"), BOOKS)
    _, exported = command("export", f"sqlite:{tmp_path / 'source'}")
    with running(find_or_skip(), tmp_path / "redis") as server:
        endpoint = RedisEndpoint(host="127.0.0.1", port=server.port, awaits_import=True)
        with pytest.raises(StoreUnavailableError, match="is to be given one"):
            read(redis_store(endpoint))
        assert command("import", f"redis://127.0.0.1:{server.port}", given=exported)[0] == 0
        assert read(redis_store(endpoint)) == BOOKS


def test_a_server_that_is_not_durable_can_be_left(tmp_path: Path) -> None:
    with running(find_or_skip(), tmp_path / "redis") as server:
        write(redis_store(server.endpoint), BOOKS)
        server.ask("CONFIG", "SET", "appendfsync", "everysec")

        code, exported = command("export", f"redis://127.0.0.1:{server.port}")

        assert (code, exported.count("\n")) == (0, 303)


def test_who_changes_their_mind_takes_it_up_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(SqliteStore(tmp_path), BOOKS)
    command("export", f"sqlite:{tmp_path}")

    assert command("reopen", f"sqlite:{tmp_path}") == (0, "")

    assert read(SqliteStore(tmp_path)) == BOOKS
    assert command("reopen", f"sqlite:{tmp_path}") == (1, "")
    assert "it needs no reopening" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda _: "", "this is no exported ledger"),
        (lambda text: text.splitlines()[1], "this is no exported ledger"),
        (lambda text: text[: len(text) // 2], "is not whole"),
        (lambda text: text.replace('"shop', '"shap').replace("TokenQuota/shop", "TokenQuota/shap"), "is not whole"),
        (lambda text: text.replace('"pointsmanLedger": 1', '"pointsmanLedger": 2'), "has format 2"),
    ],
    ids=["empty", "headless", "torn", "changed", "later"],
)
def test_a_file_that_is_not_whole_is_refused(
    change: Callable[[str], str], sentence: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(SqliteStore(tmp_path / "source"), BOOKS)
    _, exported = command("export", f"sqlite:{tmp_path / 'source'}")

    assert command("import", f"sqlite:{tmp_path / 'target'}", given=change(exported)) == (1, "")

    assert sentence in capsys.readouterr().err
    assert read(SqliteStore(tmp_path / "target")) == {}


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        (("export", "etcd:here"), 2, "'etcd' is no store; write configmaps, redis://HOST:PORT"),
        (("export", "sqlite:nowhere"), 2, "there is no folder 'nowhere'"),
        (("move", "configmaps"), 2, "invalid choice: 'move'"),
        (("export", "redis://:pass@localhost"), 1, "has a password in it, which others could read: put it into a file"),
        (("export", "redis://127.0.0.1:1"), 1, "Redis at 127.0.0.1:1 cannot be used"),
    ],
)
def test_mistakes_are_said(
    arguments: tuple[str, ...], code: int, sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command(*arguments) == (code, "")
    assert sentence in capsys.readouterr().err
