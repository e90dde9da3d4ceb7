"""Stub providers that want a key, and the command within this process."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from pointsman.main import app
from pointsman_stub import StubProvider
from process.standalone.processes import KEY, Ended, Invoke


@pytest.fixture
async def stub() -> AsyncIterator[StubProvider]:
    """A stub provider."""
    async with StubProvider.running(api_keys=[KEY]) as provider:
        yield provider


@pytest.fixture
async def other_stub() -> AsyncIterator[StubProvider]:
    """Another one."""
    async with StubProvider.running(api_keys=[KEY]) as provider:
        yield provider


@pytest.fixture
def invoke() -> Invoke:
    """Runs `check` and `explain` without a process of their own, where a process would show no more."""

    def invoked(*arguments: str | Path, stdin: str | bytes = b"") -> Ended:
        result = CliRunner().invoke(app, [str(each) for each in arguments], input=stdin)
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return Ended(code=result.exit_code, out=result.stdout, err=result.stderr)

    return invoked
