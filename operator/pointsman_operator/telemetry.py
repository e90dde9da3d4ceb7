"""What is served for Kubernetes and Prometheus to look at: /metrics, /healthz and /readyz."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable

from aiohttp import web
from prometheus_client import CollectorRegistry, Metric, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.registry import Collector

from pointsman_operator.settings import Address


class TelemetryServer:
    """An HTTP server. `alive` and `ready` return what is wrong, or nothing."""

    def __init__(
        self, *, registry: CollectorRegistry, alive: Callable[[], str | None], ready: Callable[[], str | None]
    ) -> None:
        self._registry = registry
        app = web.Application()
        app.router.add_get("/metrics", self._metrics)
        app.router.add_get("/healthz", _probe(alive))
        app.router.add_get("/readyz", _probe(ready))
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)

    async def start(self, address: Address) -> Address:
        """Listen, and return the address that it really is. Raise OSError if it cannot be had."""
        await self._runner.setup()
        await web.TCPSite(self._runner, address.host, address.port).start()
        return Address(host=address.host, port=self._runner.addresses[0][1])

    async def stop(self) -> None:
        """Close all."""
        await self._runner.cleanup()

    async def _metrics(self, _: web.Request) -> web.Response:
        # Read in the loop that changes it; but written beside it, which takes the most of a second for 10,000 quotas.
        collected = _Collected(list(self._registry.collect()))
        body = await asyncio.to_thread(generate_latest, collected)
        return web.Response(body=body, headers={"Content-Type": CONTENT_TYPE_LATEST})


class _Collected(Collector):
    """What was read."""

    def __init__(self, families: Iterable[Metric]) -> None:
        self._families = families

    def collect(self) -> Iterable[Metric]:
        """The same, however often it is asked for."""
        return self._families


def _probe(problem: Callable[[], str | None]) -> Callable[[web.Request], Awaitable[web.Response]]:
    async def probe(_: web.Request) -> web.Response:
        wrong = problem()
        return web.Response(text=f"{wrong or 'ok'}\n", status=503 if wrong else 200)

    return probe
