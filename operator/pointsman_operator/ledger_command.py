"""`pointsman-operator ledger`: moves the ledger of budgets from one store to another."""

import argparse
import asyncio
import sys
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import NoReturn, TextIO

from prometheus_client import CollectorRegistry

from pointsman_operator.quotas import (
    DEFAULT_PREFIX,
    Movable,
    Pace,
    RedisStore,
    RedisUrlError,
    SqliteStore,
    StoreConflictError,
    StoreFullError,
    StoreMetrics,
    StoreUnavailableError,
    moving,
    read_url,
)
from pointsman_operator.watch import Cluster, Connector, NoConnectionError, OwnLedger

_STORES = "configmaps, redis://HOST:PORT, rediss://HOST:PORT or sqlite:FOLDER"


class _UsageError(Exception):
    """The command is not written so; the message is a sentence."""


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise _UsageError(f"{message}; see pointsman-operator ledger --help")


def run(arguments: Sequence[str], *, environ: Mapping[str, str], namespace: str, given: TextIO, told: TextIO) -> int:
    """Do it, from and to these; return the exit code."""
    try:
        asyncio.run(_do(_parser(environ, namespace=namespace).parse_args(arguments), given=given, told=told))
    except _UsageError as error:
        print(f"pointsman-operator ledger: {error}", file=sys.stderr)  # noqa: T201 - a sentence for people
        return 2
    except (
        moving.MoveError,
        NoConnectionError,
        RedisUrlError,
        StoreConflictError,
        StoreFullError,
        StoreUnavailableError,
    ) as error:
        print(f"pointsman-operator ledger: {error}", file=sys.stderr)  # noqa: T201 - a sentence for people
        return 1
    return 0


def _parser(environ: Mapping[str, str], *, namespace: str) -> argparse.ArgumentParser:
    parser = _Parser(
        prog="pointsman-operator ledger",
        description="Moves the ledger of budgets from one store to another: export the one, import into the other.",
        allow_abbrev=False,
    )
    parser.add_argument(
        "action",
        choices=("export", "import", "reopen"),
        help="export: write all to standard output, and grant nothing from it any more; import: read that from "
        "standard input, into a store that is empty; reopen: use a store again that was exported",
    )
    parser.add_argument("store", metavar="STORE", help=_STORES)
    for name, default, explain in (
        ("namespace", namespace, "the operator's namespace, for configmaps"),
        ("kubeconfig", "", "how to reach Kubernetes, for configmaps"),
        ("context", "", "the kubeconfig's context"),
        ("ledger-redis-password-file", "", "the file that Redis' password is in"),
        ("ledger-redis-tls-dir", "", "where ca.crt is, and tls.crt and tls.key if Redis asks for them"),
        ("ledger-redis-prefix", DEFAULT_PREFIX, "what its keys begin with"),
    ):
        found = environ.get("POINTSMAN_" + name.replace("-", "_").upper()) or default
        parser.add_argument(f"--{name}", default=found, help=explain)
    parser.add_argument(
        "--ledger-redis-trust-durability",
        action="store_true",
        default=environ.get("POINTSMAN_LEDGER_REDIS_TRUST_DURABILITY") == "true",
        help="use a Redis that does not tell its settings",
    )
    return parser


async def _do(wanted: argparse.Namespace, *, given: TextIO, told: TextIO) -> None:
    at = datetime.now(UTC).isoformat(timespec="milliseconds")
    async with _opened(wanted) as store:
        match wanted.action:
            case "export":
                told.write(await moving.export(store, at=at))
                said = f"{store} is exported; nothing more is granted from it"
            case "import":
                number = await moving.take(store, given.read(), at=at)
                said = f"{number} accounts are in {store}, which can be used now"
            case _:
                await moving.reopen(store)
                said = f"{store} is in use again"
    print(said, file=sys.stderr)  # noqa: T201 - the answer to a command


@asynccontextmanager
async def _opened(wanted: argparse.Namespace) -> AsyncIterator[Movable]:
    metrics = StoreMetrics(CollectorRegistry())
    text = wanted.store
    if text == "configmaps":
        connector = Connector(kubeconfig=wanted.kubeconfig, context=wanted.context)
        async with Cluster(connector, secrets_namespace=wanted.namespace) as cluster:
            pace = Pace(clock=time.monotonic)
            yield OwnLedger(cluster, namespace=wanted.namespace, pace=pace, metrics=metrics, minded=False)
    elif text.startswith("sqlite:"):
        yield SqliteStore(_folder(wanted), minded=False)
    elif text.startswith(("redis:", "rediss:")):
        endpoint = read_url(
            text,
            password_file=Path(file) if (file := wanted.ledger_redis_password_file) else None,
            tls_folder=Path(folder) if (folder := wanted.ledger_redis_tls_dir) else None,
            prefix=wanted.ledger_redis_prefix,
            trusted=wanted.ledger_redis_trust_durability,
        )
        store = RedisStore(endpoint, metrics=metrics, minded=False)
        try:
            yield store
        finally:
            await store.close()
    else:
        raise _UsageError(f"{text.partition(':')[0]!r} is no store; write {_STORES}")


def _folder(wanted: argparse.Namespace) -> Path:
    folder = Path(wanted.store.removeprefix("sqlite:"))
    if not wanted.store.removeprefix("sqlite:") or (wanted.action != "import" and not folder.is_dir()):
        raise _UsageError(f"there is no folder {str(folder)!r}; write what --state-dir names, as in sqlite:state")
    return folder
