"""Sends cases, and judges what comes back. A process of its own, which says what it finds in lines of JSON."""

import argparse
import asyncio
import json
import sys
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any

import grpc

from hostile.cases import CANARY, Answer, Case, GrpcCase, Http2Case, HttpCase, random_of
from hostile.grpc_cases import grpc_case, ordinary_grpc
from hostile.http_cases import http_case, ordinary_http

_PATIENCE = 30.0
# What is no request at all may leave the connection open, as HTTP has it.
_SILENCE = 0.1
_REFUSALS = {400, 403, 404, 405, 413, 415, 417, 431}
_PIECE = b" " * 2**20
_CODES = {
    grpc.StatusCode.INVALID_ARGUMENT,
    grpc.StatusCode.FAILED_PRECONDITION,
    grpc.StatusCode.UNIMPLEMENTED,
    grpc.StatusCode.RESOURCE_EXHAUSTED,
    grpc.StatusCode.NOT_FOUND,
}
_MOST_WAITING = 4


class FindingError(Exception):
    """A case was answered as none should be."""


def case_of(seed: int, number: int) -> Case:
    """The case of this number."""
    random = random_of(seed, number)
    return http_case(random) if random.random() < 0.6 else grpc_case(random)


def ordinary_case(seed: int, number: int) -> Case:
    """A request of this number that nothing is wrong with: what it costs to be asked at all."""
    random = random_of(seed, number)
    return ordinary_http(random) if random.random() < 0.6 else ordinary_grpc(random)


class Sender:
    """Sends to the doors at two addresses."""

    def __init__(self, *, http: str, grpc_: str) -> None:
        self._http = http
        self._grpc = grpc_
        self.outcomes: dict[str, int] = {}

    async def run(self, cases: Iterable[tuple[int, Case]], *, log: Callable[[dict[str, Any]], None]) -> None:
        """Send them, a few at a time, and write down what is found."""
        waiting = iter(cases)
        options = (("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1))
        async with grpc.aio.insecure_channel(self._grpc, options=options) as channel:

            async def work() -> None:
                for number, case in waiting:
                    begun = time.monotonic()
                    try:
                        async with asyncio.timeout(_PATIENCE):
                            outcome = await self._send(case, channel)
                    except FindingError as finding:
                        outcome = "FINDING"
                        log({"finding": str(finding), "case": number, "what": case.what})
                    except TimeoutError:
                        outcome = "FINDING"
                        log({"finding": f"no answer within {_PATIENCE:g} s", "case": number, "what": case.what})
                    self.outcomes[outcome] = self.outcomes.get(outcome, 0) + 1
                    log({"case": number, "what": case.what, "begun": begun, "ended": time.monotonic()})

            await asyncio.gather(*(work() for _ in range(_MOST_WAITING)))

    async def _send(self, case: Case, channel: grpc.aio.Channel) -> str:
        match case:
            case HttpCase():
                return await self._over_http(case)
            case GrpcCase():
                return await _call(case, channel)
            case Http2Case():
                return await self._over_http2(case)

    async def _over_http(self, case: HttpCase) -> str:
        host, _, port = self._http.rpartition(":")
        reader, writer = await asyncio.open_connection(host, int(port), limit=2**24)
        sending = asyncio.create_task(_write(writer, case))
        try:
            if case.answer is Answer.ANY:
                said = await _until_silence(reader)
            else:
                said = await _whole(reader)
        finally:
            sending.cancel()
            await asyncio.gather(sending, return_exceptions=True)
            writer.close()
        return _judged(said, case)

    async def _over_http2(self, case: Http2Case) -> str:
        host, _, port = self._grpc.rpartition(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        try:
            with suppress(ConnectionError):
                writer.write(case.sent)
                await writer.drain()
            await _until_silence(reader)
        finally:
            writer.close()
        return "HTTP/2"


async def _write(writer: asyncio.StreamWriter, case: HttpCase) -> None:
    with suppress(ConnectionError):
        writer.write(case.sent)
        for _ in range(case.blanks // len(_PIECE)):
            await writer.drain()
            writer.write(_PIECE)
        await writer.drain()


async def _whole(reader: asyncio.StreamReader) -> bytes:
    try:
        return await reader.read(-1)
    except ConnectionError:
        return b""


async def _until_silence(reader: asyncio.StreamReader) -> bytes:
    said = b""
    with suppress(ConnectionError, TimeoutError):
        async with asyncio.timeout(_SILENCE):
            while piece := await reader.read(65536):
                said += piece
    return said


def _judged(said: bytes, case: HttpCase) -> str:
    """What came of it, in a word or two.

    Raises:
        FindingError: it should not have.
    """
    head, _, body = said.partition(b"\r\n\r\n")
    if head.startswith((b"HTTP/1.1 100 ", b"HTTP/1.0 100 ")):
        head, _, body = body.partition(b"\r\n\r\n")
    if not head:
        if case.answer is Answer.ANY:
            return "HTTP closed or silent"
        raise FindingError("the connection ended without an answer")
    status = int(head.split(maxsplit=2)[1])
    if status == 200:
        return "HTTP 200"
    if status == 503 and b'"no_model_answered"' in body:
        return "HTTP 503 no_model_answered"
    if status not in _REFUSALS:
        raise FindingError(f"status {status}: {body[:300]!r}")
    if case.answer is Answer.SHAPED or body:
        _check_shape(status, body[: _length(head)])
    return f"HTTP {status}"


def _check_shape(status: int, body: bytes) -> None:
    try:
        error = json.loads(body)["error"]
    except (ValueError, KeyError, TypeError):
        raise FindingError(f"status {status} without OpenAI's shape: {body[:300]!r}") from None
    if set(error) != {"message", "type", "param", "code"} or not error["message"].strip():
        raise FindingError(f"status {status} without a sentence: {error}")
    if "Traceback" in error["message"] or len(body) > 20_000:
        raise FindingError(f"status {status} with no sentence: {body[:300]!r}")


def _length(head: bytes) -> int | None:
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            return int(line.partition(b":")[2])
    return None


async def _call(case: GrpcCase, channel: grpc.aio.Channel) -> str:
    kind = channel.unary_stream if case.streams else channel.unary_unary
    call: Any = kind(case.path)
    try:
        if case.streams:
            async for _ in call(case.message, metadata=case.metadata):
                pass
        elif case.path.endswith("/Watch"):
            watch: Any = channel.unary_stream(case.path)
            async for _ in watch(case.message, timeout=0.3):
                pass
        else:
            await call(case.message, metadata=case.metadata, timeout=_PATIENCE)
    except grpc.aio.AioRpcError as error:
        code, told = error.code(), error.details() or ""
        if code is grpc.StatusCode.DEADLINE_EXCEEDED and case.path.endswith("/Watch"):
            return "gRPC OK"
        if code is grpc.StatusCode.UNAVAILABLE and "no model answered" in told:
            return "gRPC UNAVAILABLE no model answered"
        if code not in _CODES or not told.strip() or "Traceback" in told:
            raise FindingError(f"{code.name}: {told[:300]}") from None
        return f"gRPC {code.name}"
    return "gRPC OK"


def main() -> int:
    """Send a range of cases."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("--http", "--grpc"):
        parser.add_argument(name, required=True)
    for name in ("--seed", "--first", "--end"):
        parser.add_argument(name, type=int, required=True)
    parser.add_argument("--ordinary", action="store_true", help="requests that nothing is wrong with")
    given = parser.parse_args()
    make = ordinary_case if given.ordinary else case_of
    sender = Sender(http=given.http, grpc_=given.grpc)

    def log(line: dict[str, object]) -> None:
        sys.stdout.write(json.dumps(line).replace(CANARY, "CANARY") + "\n")
        sys.stdout.flush()

    cases = ((number, make(given.seed, number)) for number in range(given.first, given.end))
    asyncio.run(sender.run(cases, log=log))
    log({"outcomes": sender.outcomes})
    return 0


if __name__ == "__main__":
    sys.exit(main())
