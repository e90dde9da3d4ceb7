"""A provider whose answers are canned: as little work as Python can do, so that what stands before it shows.

Run as a program; it prints its port. A request whose body says `chunks=N` and `"stream":true` is answered with N
chunks, one every few milliseconds, each in a write of its own.
"""

import asyncio
import re
from typing import cast

_BETWEEN_CHUNKS = 0.005
_SAID = "Paris is the capital of France, and has been for most of the time since the year 987. "
_ANSWER = (
    b'{"id":"chatcmpl-canned","object":"chat.completion","created":1760000000,"model":"gpt-4o-mini-2024-07-18",'
    b'"choices":[{"index":0,"message":{"role":"assistant","content":"' + (_SAID * 4).encode() + b'","refusal":null},'
    b'"logprobs":null,"finish_reason":"stop"}],"usage":{"prompt_tokens":14,"completion_tokens":80,"total_tokens":94,'
    b'"prompt_tokens_details":{"cached_tokens":0,"audio_tokens":0},"completion_tokens_details":{"reasoning_tokens":0,'
    b'"audio_tokens":0,"accepted_prediction_tokens":0,"rejected_prediction_tokens":0}},"service_tier":"default",'
    b'"system_fingerprint":"fp_canned"}'
)
_WHOLE = (b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(_ANSWER)) + _ANSWER
_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
_FRAME = (
    b'data: {"id":"chatcmpl-canned","object":"chat.completion.chunk","created":1760000000,'
    b'"model":"gpt-4o-mini-2024-07-18","service_tier":"default","system_fingerprint":"fp_canned",'
)
_LENGTH = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)
_WANTED = re.compile(rb"chunks=(\d+)")
_STREAM = re.compile(rb'"stream": *true')


def _framed(event: bytes) -> bytes:
    return b"%x\r\n" % len(event) + event + b"\r\n"


def _event(rest: bytes) -> bytes:
    return _framed(_FRAME + rest + b"}\n\n")


_ROLE = _event(b'"choices":[{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":null}],"usage":null')
# No two alike: a gateway may take a model that repeats itself for a broken one.
_CHUNKS = [
    _event(
        b'"choices":[{"index":0,"delta":{"content":" capital %d"},"logprobs":null,"finish_reason":null}],"usage":null'
        % number
    )
    for number in range(1000)
]
_STOP = _event(b'"choices":[{"index":0,"delta":{},"logprobs":null,"finish_reason":"stop"}],"usage":null')
_USAGE = _event(b'"choices":[],"usage":{"prompt_tokens":14,"completion_tokens":80,"total_tokens":94}')
_END = _framed(b"data: [DONE]\n\n") + b"0\r\n\r\n"


class _Connection(asyncio.Protocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._received = bytearray()
        self._needed = 0

    def data_received(self, data: bytes) -> None:
        self._received += data
        if not self._needed:
            head = self._received.find(b"\r\n\r\n")
            if head < 0:
                return
            length = _LENGTH.search(self._received, 0, head)
            self._needed = head + 4 + (int(length[1]) if length else 0)
        if len(self._received) < self._needed:
            return
        # What a gateway sends of a conversation ends with the last message; what it asks for may stand on either side.
        body = bytes(self._received)
        self._received.clear()
        self._needed = 0
        if not _STREAM.search(body):
            self._transport.write(_WHOLE)
            return
        wanted = _WANTED.search(body)
        self._transport.write(_HEAD + _ROLE)
        self._next(int(wanted[1]) if wanted else 1)

    def _next(self, left: int) -> None:
        if self._transport.is_closing():
            return
        if left == 0:
            self._transport.write(_STOP + _USAGE + _END)
            return
        self._transport.write(_CHUNKS[left % len(_CHUNKS)])
        asyncio.get_running_loop().call_later(_BETWEEN_CHUNKS, self._next, left - 1)


async def _serve() -> None:
    server = await asyncio.get_running_loop().create_server(_Connection, "127.0.0.1", 0, backlog=256)
    print(server.sockets[0].getsockname()[1], flush=True)  # noqa: T201 - for who started it
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(_serve())
