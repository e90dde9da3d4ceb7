"""What is served for Kubernetes and Prometheus to look at: /metrics, /healthz and /readyz."""

from collections.abc import Awaitable, Callable

from aiohttp import web
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

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
        return web.Response(body=generate_latest(self._registry), headers={"Content-Type": CONTENT_TYPE_LATEST})


def _probe(problem: Callable[[], str | None]) -> Callable[[web.Request], Awaitable[web.Response]]:
    async def probe(_: web.Request) -> web.Response:
        wrong = problem()
        return web.Response(text=f"{wrong or 'ok'}\n", status=503 if wrong else 200)

    return probe
