"""What can be set of where the ledger is kept."""

import argparse
from collections.abc import Callable, Mapping
from pathlib import Path

from pointsman_operator.quotas import DEFAULT_PREFIX, RedisEndpoint, RedisUrlError, read_url

LEDGER_FLAGS = (
    (
        "ledger-redis-trust-durability",
        "grant from a Redis that does not tell its settings; what it loses of what it confirmed may be overspent",
    ),
    (
        "ledger-redis-await-import",
        "do not begin a ledger where Redis has none, but wait until one is imported by pointsman-operator ledger",
    ),
)


def add_ledger_options(option: Callable[..., None]) -> None:
    """The options. Each does something only with --ledger-redis-url."""
    option(
        "ledger-redis-url",
        default="",
        metavar="URL",
        explain="the Redis or Valkey that the ledger of budgets is kept in, such as rediss://redis.example:6379 "
        "(default: ConfigMaps of the operator's namespace)",
    )
    option("ledger-redis-password-file", default="", metavar="FILE", explain="the file that its password is in")
    option(
        "ledger-redis-tls-dir",
        default="",
        metavar="FOLDER",
        explain="where ca.crt is, by which it is known, and tls.crt and tls.key if it asks for them (default: the "
        "system's CAs, and no certificate)",
    )
    option(
        "ledger-redis-prefix",
        default=DEFAULT_PREFIX,
        metavar="NAME",
        explain=f"what its keys begin with; each cluster that shares it needs another (default {DEFAULT_PREFIX})",
    )


def read_ledger(given: argparse.Namespace) -> RedisEndpoint | None:
    """The Redis that is to be used; None where it is to be the cluster. Raise RedisUrlError."""
    needless: Mapping[str, object] = {
        "--ledger-redis-password-file": given.ledger_redis_password_file,
        "--ledger-redis-tls-dir": given.ledger_redis_tls_dir,
        "--ledger-redis-prefix": given.ledger_redis_prefix != DEFAULT_PREFIX,
        "--ledger-redis-trust-durability": given.ledger_redis_trust_durability,
        "--ledger-redis-await-import": given.ledger_redis_await_import,
    }
    if not given.ledger_redis_url:
        if said := [option for option, value in needless.items() if value]:
            raise RedisUrlError(f"{said[0]} does nothing without --ledger-redis-url; name the server, or leave it out")
        return None
    return read_url(
        given.ledger_redis_url,
        password_file=Path(given.ledger_redis_password_file) if given.ledger_redis_password_file else None,
        tls_folder=Path(given.ledger_redis_tls_dir) if given.ledger_redis_tls_dir else None,
        prefix=given.ledger_redis_prefix,
        trusted=given.ledger_redis_trust_durability,
        awaits_import=given.ledger_redis_await_import,
    )
