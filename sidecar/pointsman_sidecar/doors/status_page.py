"""The listener for the kubelet and Prometheus: health and metrics, and nothing else."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from aiohttp import web
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder


class StatusPageError(Exception):
    """The listener's address cannot be bound. The text names it."""


@asynccontextmanager
async def status_page(
    registry: CollectorRegistry, *, host: str, port: int, ready: Callable[[], bool]
) -> AsyncIterator[int]:
    """Serve /metrics, /healthz and /readyz, and give the port.

    /healthz answers while the event loop turns; /readyz while `ready()` is true.

    Raises:
        StatusPageError: the address cannot be bound.
    """

    async def metrics(request: web.Request) -> web.Response:
        encode, content_type = choose_encoder(request.headers.get("Accept", ""))
        return web.Response(body=encode(registry), headers={"Content-Type": content_type})

    async def healthz(_: web.Request) -> web.Response:
        return web.Response(text="ok\n")

    async def readyz(_: web.Request) -> web.Response:
        return web.Response(text="ok\n") if ready() else web.Response(status=503, text="not ready\n")

    app = web.Application()
    app.add_routes([web.get("/metrics", metrics), web.get("/healthz", healthz), web.get("/readyz", readyz)])
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        site = web.TCPSite(runner, host, port)
        try:
            await site.start()
        except OSError as error:
            raise StatusPageError(f"cannot listen on {host}:{port}: {error.strerror}") from error
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()
