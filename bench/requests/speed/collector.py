"""A collector of traces that swallows them. Run as a program; it prints its port."""

import asyncio
from typing import Any

import grpc


class _Swallow(grpc.GenericRpcHandler):
    def service(self, _: grpc.HandlerCallDetails) -> "grpc.RpcMethodHandler[bytes, bytes]":
        async def swallow(_: bytes, __: Any) -> bytes:
            return b""

        return grpc.unary_unary_rpc_method_handler(swallow)


async def _serve() -> None:
    server = grpc.aio.server(options=[("grpc.max_receive_message_length", -1)])
    server.add_generic_rpc_handlers([_Swallow()])
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    print(port, flush=True)  # noqa: T201 - for who started it
    await server.wait_for_termination()


if __name__ == "__main__":
    asyncio.run(_serve())
