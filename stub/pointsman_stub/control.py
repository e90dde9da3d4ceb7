"""The endpoints under `/stub`, which set faults and show what was received. No key guards them: keep them local."""

from aiohttp import web

from pointsman_stub.errors import ApiError
from pointsman_stub.faults import FaultBook, FaultError, parse_faults
from pointsman_stub.fields import read_json
from pointsman_stub.records import RequestLog


class Control:
    """Handlers over the fault book and the log that the chat endpoint uses too."""

    def __init__(self, *, book: FaultBook, log: RequestLog) -> None:
        self._book = book
        self._log = log

    def add_routes(self, router: web.UrlDispatcher) -> None:
        """Put the endpoints into an application."""
        router.add_get("/stub/faults", self._get_faults)
        router.add_put("/stub/faults", self._put_faults)
        router.add_delete("/stub/faults", self._delete_faults)
        router.add_get("/stub/requests", self._get_requests)
        router.add_delete("/stub/requests", self._delete_requests)
        router.add_get("/stub/usage", self._get_usage)

    async def _get_faults(self, _: web.Request) -> web.Response:
        return web.json_response([fault.body() for fault in self._book.faults])

    async def _put_faults(self, request: web.Request) -> web.Response:
        try:
            self._book.faults = parse_faults(read_json(await request.read()))
        except FaultError as error:
            return web.json_response(ApiError(f"{error}.", code="invalid_fault").body(), status=400)
        except ApiError as error:
            return web.json_response(error.body(), status=error.status)
        return await self._get_faults(request)

    async def _delete_faults(self, _: web.Request) -> web.Response:
        self._book.faults = ()
        return web.Response(status=204)

    async def _get_requests(self, _: web.Request) -> web.Response:
        records = [record.json() for record in self._log.records]
        return web.json_response({"open": self._log.open, "requests": records})

    async def _delete_requests(self, _: web.Request) -> web.Response:
        self._log.clear()
        return web.Response(status=204)

    async def _get_usage(self, _: web.Request) -> web.Response:
        return web.json_response(self._log.counted.json())
