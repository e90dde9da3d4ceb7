"""A provider that sends more than all buffers between it and a caller hold."""

import asyncio

_BETWEEN_LOOKS = 0.2


class Flood:
    """A behaviour of `odd_provider`: 32 MB of events as fast as they are taken, and how many it got rid of."""

    EVENTS = 4_000
    TEXT = "x" * 8_000

    def __init__(self) -> None:
        self.sent = 0

    async def __call__(self, _: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one request."""
        event = b'data: {"choices": [{"index": 0, "delta": {"content": "' + self.TEXT.encode() + b'"}}]}\n\n'
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n")
        for _number in range(self.EVENTS):
            writer.write(event)
            await writer.drain()
            self.sent += 1
        writer.write(b'data: {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}\n\ndata: [DONE]\n\n')

    async def held_back(self) -> None:
        """Wait until nothing more goes out for a while."""
        last = -1
        while self.sent != last:
            last = self.sent
            await asyncio.sleep(_BETWEEN_LOOKS)
