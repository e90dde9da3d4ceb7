"""An app's calls over gRPC, as `load` makes them."""

import json
import time
from typing import TYPE_CHECKING

import grpc

from pointsman_api.v1 import completions_pb2, completions_pb2_grpc

if TYPE_CHECKING:
    from speed.load import Load

METADATA = "x-pointsman-metadata"


class GrpcClient:
    """One channel, kept."""

    def __init__(self, load: "Load", *, prompt: str) -> None:
        self._channel = grpc.aio.insecure_channel(
            load.url.removeprefix("grpc://"), options=[("grpc.use_local_subchannel_pool", 1)]
        )
        self._stub = completions_pb2_grpc.CompletionsStub(self._channel)
        self._chunks = load.chunks
        self._request = completions_pb2.CompleteRequest(
            messages=[
                completions_pb2.Message(
                    role=completions_pb2.ROLE_USER, content=[completions_pb2.ContentPart(text=prompt)]
                )
            ],
            # What the HTTP door reads from a header.
            hints=completions_pb2.RoutingHints(metadata=json.loads(load.headers.get(METADATA, "{}"))),
        )

    async def ask(self) -> tuple[float, int]:
        """See `load`."""
        if not self._chunks:
            await self._stub.Complete(self._request)
            return time.perf_counter(), 0
        first, chunks = 0.0, 0
        async for event in self._stub.CompleteStream(self._request):
            if event.HasField("chunk") and event.chunk.choices and event.chunk.choices[0].content:
                first = first or time.perf_counter()
                chunks += 1
        return first, chunks

    async def close(self) -> None:
        """End the connection."""
        await self._channel.close()
