"""What any gateway of Python's costs: a relay that hands on each piece of an answer, and does nothing else.

aiohttp calls the provider and serves HTTP, and grpc.aio serves gRPC, as in the sidecar; the pieces of a stream are
neither split nor read, and what goes out over gRPC is the same prepared message for each. Run as a program with the
base URL of the provider; it prints its two ports.
"""

import asyncio
import sys
from typing import Any

import grpc
from aiohttp import ClientSession, ClientTimeout, DummyCookieJar, TCPConnector, web

from pointsman_api.v1 import completions_pb2

_METHODS = "/pointsman_api.v1.Completions/"
_DELTA = completions_pb2.ChoiceDelta(content=" capital")
_PIECE = completions_pb2.CompleteStreamResponse(chunk=completions_pb2.Chunk(choices=[_DELTA])).SerializeToString()


class _Relay(grpc.GenericRpcHandler):
    def __init__(self, session: ClientSession, provider: str) -> None:
        self._session = session
        self._url = f"{provider}/chat/completions"

    async def http(self, request: web.Request) -> web.StreamResponse:
        """POST /v1/chat/completions."""
        async with self._asked(await request.read()) as answer:
            if answer.content_type == "application/json":
                return web.Response(body=await answer.read(), content_type=answer.content_type)
            response = web.StreamResponse(headers={"content-type": answer.content_type})
            await response.prepare(request)
            while piece := await answer.content.readany():
                await response.write(piece)
            await response.write_eof()
            return response

    def service(self, details: grpc.HandlerCallDetails) -> "grpc.RpcMethodHandler[bytes, bytes] | None":
        """The method's handler."""
        if details.method == f"{_METHODS}Complete":
            return grpc.unary_unary_rpc_method_handler(self._complete)
        return grpc.unary_stream_rpc_method_handler(self._complete_stream)

    async def _complete(self, asked: bytes, _: Any) -> bytes:
        async with self._asked(asked) as answer:
            await answer.read()
        return _PIECE[:0]

    async def _complete_stream(self, asked: bytes, context: Any) -> None:
        async with self._asked(b'"stream": true ' + asked) as answer:
            while await answer.content.readany():
                await context.write(_PIECE)

    def _asked(self, body: bytes) -> Any:
        return self._session.post(self._url, data=body, headers={"content-type": "application/json"})


async def _serve(provider: str) -> None:
    session = ClientSession(
        connector=TCPConnector(limit=0), cookie_jar=DummyCookieJar(), timeout=ClientTimeout(total=None)
    )
    async with session:
        relay = _Relay(session, provider)
        app = web.Application(client_max_size=0)
        app.router.add_post("/v1/chat/completions", relay.http)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        server = grpc.aio.server(options=[("grpc.max_receive_message_length", -1)])
        server.add_generic_rpc_handlers([relay])
        port = server.add_insecure_port("127.0.0.1:0")
        await server.start()
        print(runner.addresses[0][1], port, flush=True)  # noqa: T201 - for who started it
        await server.wait_for_termination()


if __name__ == "__main__":
    asyncio.run(_serve(sys.argv[1]))
