"""A running stub provider: from a free port to a closed socket. For tests in the same event loop, and for `main`."""

import asyncio
import random
import secrets
import time
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from typing import Self

from aiohttp import web

from pointsman_stub.durations import Delay
from pointsman_stub.faults import Fault, FaultBook
from pointsman_stub.models import catalogue
from pointsman_stub.records import RequestLog, RequestRecord
from pointsman_stub.server import Behaviour, Server

# A request that hangs on purpose must not hold up the end.
_SHUTDOWN_SECONDS = 0.1


class StubProvider:
    """What a test sees of the server. Get one from `StubProvider.running()`."""

    def __init__(self) -> None:
        self.base_url = ""
        self._changed = asyncio.Event()
        self._book = FaultBook(draw=random.random)
        self._log = RequestLog(on_change=self._changed.set)

    @classmethod
    @asynccontextmanager
    async def running(
        cls,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        api_keys: Iterable[str] = (),
        models: Iterable[str] = (),
        latency: Delay | float = 0.0,
        chunk_delay: Delay | float = 0.0,
    ) -> AsyncIterator[Self]:
        """Serve until the block ends. Port 0 takes a free one; without keys any key fits, and none is needed."""
        provider = cls()
        server = Server(
            behaviour=Behaviour(
                models=catalogue(models),
                api_keys=frozenset(api_keys),
                latency=_delay(latency),
                chunk_delay=_delay(chunk_delay),
            ),
            book=provider._book,
            log=provider._log,
            new_id=lambda: secrets.token_hex(12),
            now=time.time,
        )
        runner = web.AppRunner(
            server.application(),
            access_log=None,
            handler_cancellation=True,
            shutdown_timeout=_SHUTDOWN_SECONDS,
        )
        await runner.setup()
        try:
            await web.TCPSite(runner, host=host, port=port).start()
            shown_host = f"[{host}]" if ":" in host else host
            provider.base_url = f"http://{shown_host}:{runner.addresses[0][1]}/v1"
            yield provider
        finally:
            await runner.cleanup()

    @property
    def requests(self) -> tuple[RequestRecord, ...]:
        """What was received, oldest first."""
        return self._log.records

    @property
    def open_requests(self) -> int:
        """How many requests are being answered now."""
        return self._log.open

    @property
    def faults(self) -> tuple[Fault, ...]:
        """The faults in force, with the times that are left of them."""
        return self._book.faults

    def set_faults(self, *faults: Fault) -> None:
        """Replace the faults in force; without any, everything works again."""
        self._book.faults = faults

    def clear_requests(self) -> None:
        """Forget what was received."""
        self._log.clear()

    async def until(self, condition: Callable[[], bool], *, within: float = 5.0) -> None:
        """Wait until a condition on the requests holds; TimeoutError if it does not within so many seconds."""
        async with asyncio.timeout(within):
            while not condition():
                self._changed.clear()
                await self._changed.wait()


def _delay(value: Delay | float) -> Delay:
    return value if isinstance(value, Delay) else Delay(otherwise=value)
