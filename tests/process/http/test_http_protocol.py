"""HTTP itself: what is no request to this API, bodies too large, callers that read slowly or leave."""

import asyncio
import io
import json
import re
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import pytest
import structlog

from pointsman_sidecar.doors.http_door import http_door
from pointsman_sidecar.doors.reading import Reading
from pointsman_stub import StubProvider
from support.floods import Flood
from support.http_doors import question
from support.odd_providers import odd_provider
from support.sidecars import Sidecar, running_sidecar
from support.snapshots import snapshot
from support.waiting import until

JSON = {"content-type": "application/json"}
CHAT = "/chat/completions"


async def refused(
    http: aiohttp.ClientSession, method: str, url: str, **options: Any
) -> tuple[int, str, dict[str, Any]]:
    """Status, code and error of a request that must fail."""
    async with http.request(method, url, **options) as response:
        assert response.content_type == "application/json"
        error = (await response.json())["error"]
        assert error.keys() == {"message", "type", "param", "code"}
        return response.status, error["code"], error


def blanks(mebibytes: int) -> io.BytesIO:
    """A body that is nothing but large."""
    return io.BytesIO(b" " * (mebibytes * 2**20))


@pytest.mark.parametrize(
    ("method", "path", "options", "status", "code", "says"),
    [
        ("GET", CHAT, {}, 405, "method_not_allowed", "GET is not how /v1/chat/completions is called: POST is"),
        ("POST", "/completions", {"json": {}}, 404, "unknown_url", "POST /v1/completions is nothing that this door"),
        ("GET", "/responses/resp_1", {}, 404, "unknown_url", "there are POST /v1/chat/completions, /v1/responses"),
        ("POST", "/../chat/completions", {"json": {}}, 404, "unknown_url", "; the base URL ends with /v1"),
        ("POST", CHAT, {"data": "{}"}, 415, "invalid_request", "Content-Type is text/plain: send application/json"),
        ("POST", CHAT, {"data": b"{", "headers": JSON}, 400, "invalid_request", "(byte 1)"),
        ("POST", CHAT, {"data": b"\xff", "headers": JSON}, 400, "invalid_request", "it is not UTF-8"),
        (
            "POST",
            CHAT,
            {"json": question(), "headers": {"Origin": "null"}},
            403,
            "browser_not_allowed",
            "not for browsers",
        ),
        ("POST", CHAT, {"json": question(), "headers": {"x-pointsman-x": ""}}, 400, "invalid_request", "no header of"),
    ],
)
async def test_what_is_no_request_is_refused_in_openais_shape(
    http: aiohttp.ClientSession,
    sidecar: Sidecar,
    stub: StubProvider,
    method: str,
    path: str,
    options: dict[str, Any],
    status: int,
    code: str,
    says: str,
) -> None:
    told, named, error = await refused(http, method, sidecar.http_url + path, **options)

    assert (told, named) == (status, code)
    assert says in error["message"]
    assert stub.requests == ()


async def test_a_body_larger_than_the_policy_allows_is_too_large(
    http: aiohttp.ClientSession, sidecar: Sidecar, stub: StubProvider
) -> None:
    sidecar.apply(snapshot(base_url=stub.base_url, max_request_bytes=1000))

    status, code, error = await refused(http, "POST", sidecar.http_url + CHAT, json=question(x="x" * 1000))

    assert (status, code) == (413, "request_too_large")
    assert "policy shop/support allows 1,000" in error["message"]


async def in_pieces(mebibytes: int) -> AsyncIterator[bytes]:
    """A body that does not say how large it is."""
    for _ in range(mebibytes):
        yield b" " * 2**20


async def test_a_body_that_does_not_say_its_size_is_read_no_further_than_the_policy_allows(
    http: aiohttp.ClientSession, sidecar: Sidecar
) -> None:
    status, code, error = await refused(http, "POST", sidecar.http_url + CHAT, data=in_pieces(100), headers=JSON)

    assert (status, code) == (413, "request_too_large")
    found = re.fullmatch(
        r"the request has at least ([0-9,]+) bytes and policy shop/support allows 4,194,304", error["message"]
    )
    assert found
    assert int(found[1].replace(",", "")) < 6 * 2**20


async def test_a_body_that_says_that_it_is_too_large_is_not_waited_for(sidecar: Sidecar) -> None:
    address = urlsplit(sidecar.http_url)
    reader, writer = await asyncio.open_connection(address.hostname, address.port)
    writer.write(
        b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\n"
        b"content-type: application/json\r\ncontent-length: 104857600\r\n\r\n"
    )

    said = await reader.readuntil(b"}}")

    writer.close()
    assert said.startswith(b"HTTP/1.1 413 ")
    assert b"the request has 104,857,600 bytes and policy shop/support allows 4,194,304" in said


@pytest.mark.parametrize(("size", "first"), [(100, b"100"), (104857600, b"413")])
async def test_a_body_is_asked_for_only_where_it_may_come(sidecar: Sidecar, size: int, first: bytes) -> None:
    address = urlsplit(sidecar.http_url)
    reader, writer = await asyncio.open_connection(address.hostname, address.port)
    writer.write(
        b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\n"
        b"content-type: application/json\r\ncontent-length: " + str(size).encode() + b"\r\n\r\n"
    )

    said = await reader.readuntil(b"\r\n")

    writer.close()
    assert said.split()[1] == first


@pytest.mark.parametrize(
    ("sent", "why"),
    [
        (b"CANARY\r\n\r\n", "this is no HTTP request that can be read"),
        (b"GET /v1/models HTTP/1.1\r\nhost: x\r\nCANARY\r\n\r\n", "this is no HTTP request that can be read"),
        (
            (
                b"POST /v1/responses HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-type: application/json\r\n"
                b"content-encoding: gzip\r\ncontent-length: 6\r\n\r\nCANARY"
            ),
            "the body is no gzip, which its Content-Encoding says",
        ),
        (
            (
                b"POST /v1/responses HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-type: application/json\r\n"
                b"transfer-encoding: chunked\r\n\r\nCANARY\r\n"
            ),
            "read",
        ),
    ],
)
async def test_what_is_no_http_is_told_in_openais_shape_and_quoted_nowhere(
    sidecar: Sidecar, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture, sent: bytes, why: str
) -> None:
    address = urlsplit(sidecar.http_url)
    reader, writer = await asyncio.open_connection(address.hostname, address.port)
    writer.write(sent)

    head, _, body = (await reader.read()).partition(b"\r\n\r\n")

    writer.close()
    assert head.split(maxsplit=2)[1] == b"400"
    assert why in json.loads(body)["error"]["message"]
    assert b"CANARY" not in body
    assert "CANARY" not in caplog.text + "".join(capfd.readouterr()) + str(sidecar.logged)


async def test_a_caller_that_leaves_while_it_sends_leaves_nothing_behind(
    http: aiohttp.ClientSession, sidecar: Sidecar
) -> None:
    address = urlsplit(sidecar.http_url)
    _, writer = await asyncio.open_connection(address.hostname, address.port)
    writer.write(
        b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\n"
        b"content-type: application/json\r\ncontent-length: 100\r\n\r\n{"
    )
    await writer.drain()

    writer.close()

    async with http.post(sidecar.http_url + CHAT, json=question()) as response:
        assert response.status == 200
    assert sidecar.in_flight == 0


async def test_a_slow_reader_holds_the_provider_back_and_still_gets_everything(http: aiohttp.ClientSession) -> None:
    flood = Flood()
    async with (
        odd_provider(flood) as odd,
        running_sidecar(content=snapshot(base_url=odd.base_url, total=60), access={"openai": ""}) as sidecar,
        http.post(sidecar.http_url + CHAT, json=question(stream=True)) as response,
    ):
        await until(lambda: flood.sent > 0)
        await flood.held_back()

        assert flood.sent < flood.EVENTS / 2
        received = await response.read()

    assert received.count(flood.TEXT.encode()) == flood.EVENTS
    assert received.endswith(b"data: [DONE]\n\n")


async def test_lines_of_one_event_stay_one_event(http: aiohttp.ClientSession) -> None:
    pretty = json.dumps({"choices": [{"index": 0, "delta": {"content": "4"}, "finish_reason": "stop"}]}, indent=1)
    body = pretty.replace("\n", "\ndata: ").encode()

    async def behaviour(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n")
        writer.write(b"data: " + body + b"\n\ndata: [DONE]\n\n")

    async with (
        odd_provider(behaviour) as odd,
        running_sidecar(content=snapshot(base_url=odd.base_url), access={"openai": ""}) as sidecar,
        http.post(sidecar.http_url + CHAT, json=question(stream=True)) as response,
    ):
        assert await response.read() == b"data: " + body + b"\n\ndata: [DONE]\n\n"


async def test_a_header_that_is_no_text_is_refused(sidecar: Sidecar) -> None:
    address = urlsplit(sidecar.http_url)
    reader, writer = await asyncio.open_connection(address.hostname, address.port)
    body = json.dumps(question()).encode()
    writer.write(
        b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-type: application/json\r\n"
        b"x-pointsman-user: \xff\r\ncontent-length: " + str(len(body)).encode() + b"\r\n\r\n" + body
    )

    said = await reader.read()

    writer.close()
    assert said.startswith(b"HTTP/1.1 400 ")
    assert b"x-pointsman-user is not UTF-8" in said


class Broken:
    """Completions that fail as nothing should."""

    def models(self) -> tuple[object, ...]:
        """Fail."""
        raise KeyError("CANARY")


async def test_an_error_of_our_own_is_told_and_logged_without_its_message(http: aiohttp.ClientSession) -> None:
    logged = structlog.testing.LogCapture()
    log = structlog.wrap_logger(None, processors=[logged], wrapper_class=structlog.stdlib.BoundLogger)
    async with http_door(Broken(), host="127.0.0.1", port=0, reading=Reading(), log=log, grace=0) as port:  # type: ignore[arg-type]
        status, code, error = await refused(http, "GET", f"http://127.0.0.1:{port}/v1/models")

    assert (status, code) == (500, "internal_error")
    assert error["message"] == "the sidecar failed on this request; its log says where"
    (line,) = logged.entries
    assert (line["event"], line["error"]) == ("internal error", "KeyError")
    assert "CANARY" not in str({**line, "stack": ""}) + error["message"]


@pytest.mark.parametrize("coding", ["gzip", "deflate"])
async def test_a_compressed_body_is_read_up_to_the_same_size(
    http: aiohttp.ClientSession, sidecar: Sidecar, coding: str
) -> None:
    async with http.post(sidecar.http_url + CHAT, json=question(), compress=coding) as response:
        assert response.status == 200
    bomb = await refused(http, "POST", sidecar.http_url + CHAT, data=blanks(80), compress=coding, headers=JSON)

    assert bomb[:2] == (413, "request_too_large")
