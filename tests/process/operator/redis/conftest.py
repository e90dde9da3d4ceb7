"""A real Redis for these tests, and a ledger of each test's own on it."""

import itertools
from collections.abc import Iterator
from dataclasses import replace

import pytest

from pointsman_operator.quotas import (
    RedisEndpoint,
)
from support.redis.binaries import Binary, find_or_skip
from support.redis.servers import RedisServer, running

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
