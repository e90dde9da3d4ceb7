"""Calls to providers are made without the openai SDK, and are what they would be with it: on the wire, in outcome."""

import asyncio
import gzip
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

import pytest

from pointsman_sidecar.providers.clients import ProviderClients
from pointsman_sidecar.providers.outcomes import ProviderFailure
from pointsman_sidecar.routing.policy import Provider
from support.odd_providers import Behaviour, document, events, odd_provider, raw
from support.sdk_clients import SdkClients

KEY = "sk-of-these-tests"
BODY = '{"model":"gpt-4o","messages":[{"role":"user","content":"Grüße \\u00e9"}],"seed":1}'.encode()
ANSWER = b'{ "id": "c", "choices": [ {"index": 0, "message": {"content": "4"}} ] }'
CHUNK = b'{"id": "c", "choices": [{"index": 0, "delta": {"content": "4"}}]}'
MATTERING = ("host", "authorization", "content-type", "accept", "content-length", "transfer-encoding", "cookie")
Clients = ProviderClients | SdkClients


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What came over the wire."""

    line: str
    headers: dict[str, str]
    body: bytes


@dataclass(frozen=True, kw_only=True)
class Came:
    """What came of a call: what was got, and the failure that ended it, if one did."""

    got: tuple[bytes, ...]
    failure: tuple[object, ...] | None


@asynccontextmanager
async def recording(asked: list[Asked], answers: list[bytes]) -> AsyncIterator[str]:
    """A server that keeps what it is asked, and gives the answers in turn, the last one again and again."""

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        line, *fields = head.strip().split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (field.partition(":") for field in fields)}
        body = await reader.readexactly(int(headers.get("content-length", 0)))
        asked.append(Asked(line=line, headers=headers, body=body))
        writer.write(answers.pop(0) if len(answers) > 1 else answers[0])
        writer.close()

    server = await asyncio.start_server(connected, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


async def call(clients: Clients, base_url: str, *, streamed: bool, api_key: str = KEY, path: str) -> Came:
    """Call once."""
    provider = Provider(name="openai", base_url=base_url)
    got: list[bytes] = []
    failure = None
    try:
        if streamed:
            async with clients.stream(provider, path=path, api_key=api_key, body=BODY, connect_timeout=5.0) as chunks:
                async for chunk in chunks:
                    got.append(chunk)  # noqa: PERF401 - what came before a failure counts too
        else:
            got.append(await clients.answer(provider, path=path, api_key=api_key, body=BODY, connect_timeout=5.0))
    except ProviderFailure as error:
        failure = (
            *(error.outcome, str(error), error.http_status, error.retry_after, error.code, error.param),
            *(error.sent, error.may_retry, error.others_first),
        )
    return Came(got=tuple(got), failure=failure)


async def both(base_url: str, *, streamed: bool, api_key: str = KEY, path: str = "/chat/completions") -> list[Came]:
    """What comes of the call: ours, and the SDK's."""
    came = []
    make: Callable[[], Clients]
    for make in (ProviderClients, SdkClients):
        async with make() as clients:
            came.append(await call(clients, base_url, streamed=streamed, api_key=api_key, path=path))
    return came


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("base", ["/v1", "/v1/", "", "/my%20api/v1", "/grüße/v1"])
@pytest.mark.parametrize("api_key", [KEY, ""], ids=["with a key", "without a key"])
@pytest.mark.parametrize("path", ["/chat/completions", "/embeddings"])
async def test_the_request_is_the_same_on_the_wire(
    *, streamed: bool, base: str, api_key: str, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("OPENAI_API_KEY", "OPENAI_ORG_ID", "OPENAI_PROJECT_ID"):
        monkeypatch.setenv(name, "not-for-providers")
    asked: list[Asked] = []
    whole = b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%s" % (len(ANSWER), ANSWER)
    events_ = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\ndata: " + CHUNK + b"\n\ndata: [DONE]\n\n"

    async with recording(asked, [events_ if streamed else whole]) as server:
        await both(server + base, streamed=streamed, api_key=api_key, path=path)

    ours, sdks = asked
    assert ours.line == sdks.line
    assert ours.body == sdks.body == BODY
    for name in MATTERING:
        assert ours.headers.get(name) == sdks.headers.get(name)
    assert "not-for-providers" not in str(ours)
    assert set(ours.headers) - set(sdks.headers) == set()
    assert {name for name in set(sdks.headers) - set(ours.headers) if not name.startswith("x-stainless-")} <= {
        "connection"
    }


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("elsewhere", [False, True], ids=["to the same host", "to another host"])
async def test_a_redirect_is_followed_in_the_same_way(status: int, *, elsewhere: bool) -> None:
    asked: list[Asked] = []
    answers = [b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%s" % (len(ANSWER), ANSWER)]

    async with recording(asked, answers) as server:
        to = server.replace("127.0.0.1", "localhost") if elsewhere else ""
        head = f"HTTP/1.1 {status} Elsewhere\r\nlocation: {to}/v2/x\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"
        redirect = head.encode()
        answers[:0] = [redirect]
        async with ProviderClients() as clients:
            ours = await call(clients, f"{server}/v1", streamed=False, path="/chat/completions")
        answers[:0] = [redirect]
        async with SdkClients() as clients:
            sdks = await call(clients, f"{server}/v1", streamed=False, path="/chat/completions")

    assert ours == sdks
    assert len(asked) == 4
    assert [each.line for each in asked[:2]] == [each.line for each in asked[2:]]
    assert [each.body for each in asked[:2]] == [each.body for each in asked[2:]]
    assert [each.headers.get("authorization") for each in asked[:2]] == [
        each.headers.get("authorization") for each in asked[2:]
    ]


def error(**members: object) -> bytes:
    """An error as the API says it."""
    return json.dumps({"error": members}).encode()


STATUSES = (
    *("304 Not Modified", "302 Found", "400 Bad Request", "401 Unauthorized", "402 Payment Required", "403 Forbidden"),
    *("404 Not Found", "408 Request Timeout", "409 Conflict", "413 Content Too Large", "418 I'm a teapot"),
    *("422 Unprocessable Content", "429 Too Many Requests", "500 Internal Server Error", "502 Bad Gateway"),
    *("503 Service Unavailable", "504 Gateway Timeout", "529 Overloaded", "599"),
)
BODIES = {
    "an error": error(message="it is  so\nfor a reason", type="t", code="some_code", param="messages"),
    "a context that is too long": error(message="too long", code="context_length_exceeded"),
    "numbers for words": error(message=7, code=7, param=[]),
    "an error that is null": b'{"error": null}',
    "an error that is a text": b'{"error": "no"}',
    "an empty account": b'{"error": {"message": "no", "code": "insufficient_quota"}}',
    "an error at the top": b'{"message": "no", "code": "c", "detail": []}',
    "a list": b"[1]",
    "a text": b"<html>Bad gateway</html>",
    "nothing": b"",
    "no UTF-8": b'{"error": {"message": "\xff"}}',
    "half a character": b'{"error": {"message": "\\ud800"}}',
    "deep nesting": b'{"error": ' + b"[" * 100_000,
    "a number beyond reading": b'{"error": {"message": "m", "code": ' + b"1" * 5000 + b"}}",
}


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("status", STATUSES)
async def test_a_status_has_the_same_outcome(status: str, *, streamed: bool) -> None:
    async with odd_provider(document(BODIES["an error"], status=status)) as server:
        ours, sdks = await both(server.base_url, streamed=streamed)

    assert ours.failure is not None
    assert ours == sdks


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES.keys())
@pytest.mark.parametrize("status", ["400 Bad Request", "500 Oh no"])
async def test_whatever_an_error_holds_it_has_the_same_outcome(status: str, body: bytes) -> None:
    async with odd_provider(document(body, status=status)) as server:
        ours, sdks = await both(server.base_url, streamed=False)

    assert ours.failure is not None
    assert ours == sdks


@pytest.mark.parametrize(
    "headers",
    [
        *(f"retry-after: {each}" for each in ("3", "0.5", "0", "-1", "86401", "soon", "nan")),
        "retry-after: Wed, 21 Oct 2026 07:28:00 GMT",
        "Date: Wed, 21 Oct 2026 07:27:30 GMT\r\nRetry-After: Wed, 21 Oct 2026 07:28:00 GMT",
        "Retry-After-Ms: 1500\r\nRetry-After: 9",
        "X-Should-Retry: false",
        "X-Should-Retry: perhaps",
    ],
)
@pytest.mark.parametrize("status", ["400 Bad Request", "404 Not Found", "429 Too Many Requests", "529 Overloaded"])
async def test_when_and_whether_to_try_again_is_read_in_the_same_way(status: str, headers: str) -> None:
    head = f"HTTP/1.1 {status}\r\n{headers}\r\ncontent-length: 0\r\n\r\n"

    async with odd_provider(raw(head.encode())) as server:
        ours, sdks = await both(server.base_url, streamed=False)

    assert ours == sdks


OK = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n"
PACKED = gzip.compress(ANSWER)
ANSWERS: dict[str, Behaviour] = {
    "whole": document(ANSWER),
    "no JSON": document(b"<html>"),
    "empty": document(b""),
    "created": document(ANSWER, status="201 Created"),
    "packed": raw(OK + b"content-encoding: gzip\r\ncontent-length: %d\r\n\r\n%s" % (len(PACKED), PACKED)),
    "in pieces": raw(OK + b"transfer-encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n" % (len(ANSWER), ANSWER)),
    "without a length": raw(OK + b"\r\n" + ANSWER),
    "cut": raw(OK + b"content-length: 9999\r\n\r\n" + ANSWER),
    "cut in pieces": raw(OK + b"transfer-encoding: chunked\r\n\r\nff\r\n" + ANSWER),
    "cut in the head": raw(b"HTTP/1.1 200 OK\r\nconte"),
    "no HTTP": raw(b"SSH-2.0-OpenSSH_9.6\r\n"),
    "nothing at all": raw(b""),
    "a status that is none": raw(b"HTTP/1.1 abc OK\r\n\r\n"),
    "an error that is cut": raw(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 99\r\n\r\n{"),
    "a redirect to itself": raw(b"HTTP/1.1 307 Again\r\nlocation: /v1/chat/completions\r\ncontent-length: 0\r\n\r\n"),
    "a redirect to nowhere": raw(b"HTTP/1.1 307 Again\r\nlocation: http://127.0.0.1:9/\r\ncontent-length: 0\r\n\r\n"),
}


@pytest.mark.parametrize("behaviour", ANSWERS.values(), ids=ANSWERS.keys())
async def test_an_answer_comes_byte_for_byte_or_fails_in_the_same_way(behaviour: Behaviour) -> None:
    async with odd_provider(behaviour) as server:
        ours, sdks = await both(server.base_url, streamed=False)

    assert ours == sdks


STREAMS: dict[str, Behaviour] = {
    "whole": events(CHUNK, CHUNK, b"[DONE]"),
    "more after its end": events(CHUNK, b"[DONE]", CHUNK),
    "without its end": events(CHUNK),
    "empty": events(),
    "an error in it": events(CHUNK, b'{"error": {"message": "no"}}'),
    "no JSON": events(b"{{"),
    "in lines of another kind": raw(OK + b"\r\ndata:" + CHUNK + b"\r\n\r\n: hello\r\nid: 1\r\ndata: [DONE]\r\n\r\n"),
    "cut": raw(OK + b"transfer-encoding: chunked\r\n\r\nffff\r\ndata: " + CHUNK + b"\n\ndata: {"),
    "with an end that hangs": events(CHUNK, b"[DONE]", then_hang=True),
}


@pytest.mark.parametrize("behaviour", STREAMS.values(), ids=STREAMS.keys())
async def test_a_stream_comes_byte_for_byte_or_fails_in_the_same_way(behaviour: Behaviour) -> None:
    async with odd_provider(behaviour) as server:
        ours, sdks = await both(server.base_url, streamed=True)

    assert ours == sdks


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("base_url", ["http://127.0.0.1:9/v1", "https://127.0.0.1:9/v1", "http://nowhere.invalid/v1"])
async def test_a_provider_that_is_not_there_fails_in_the_same_way(base_url: str, *, streamed: bool) -> None:
    ours, sdks = await both(base_url, streamed=streamed)

    assert ours.failure is not None
    assert ours == sdks


async def test_a_provider_without_tls_fails_in_the_same_way() -> None:
    async with odd_provider(document(ANSWER)) as server:
        ours, sdks = await both(server.base_url.replace("http:", "https:"), streamed=False)

    assert ours.failure is not None
    assert ours == sdks


@pytest.mark.parametrize("api_key", ["sk-ü", "sk-\n"])
async def test_a_key_that_no_header_holds_fails_in_the_same_way(api_key: str) -> None:
    ours, sdks = await both("http://127.0.0.1:9/v1", streamed=False, api_key=api_key)

    assert ours.failure is not None
    assert ours == sdks


@pytest.mark.parametrize(
    ("variables", "goes"),
    [
        pytest.param({"HTTP_PROXY": "{proxy}"}, "by the proxy", id="a proxy"),
        pytest.param({"ALL_PROXY": "{proxy}"}, "by the proxy", id="a proxy for all"),
        pytest.param({"HTTPS_PROXY": "{proxy}"}, "straight", id="a proxy for https alone"),
        pytest.param({"HTTP_PROXY": "{proxy}", "NO_PROXY": "127.0.0.1"}, "straight", id="a host that is excepted"),
        pytest.param({"HTTP_PROXY": "{proxy}", "NO_PROXY": "*"}, "straight", id="all hosts excepted"),
    ],
)
async def test_a_proxy_is_taken_as_the_sdk_takes_it(
    variables: dict[str, str], goes: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    answer = b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%s" % (len(ANSWER), ANSWER)
    proxied: list[Asked] = []
    straight: list[Asked] = []

    async with recording(proxied, [answer]) as proxy, recording(straight, [answer]) as server:
        for name, value in variables.items():
            monkeypatch.setenv(name, value.format(proxy=proxy))
        ours, sdks = await both(f"{server}/v1", streamed=False)

    assert ours == sdks
    assert ours.failure is None
    asked = proxied if goes == "by the proxy" else straight
    assert len(asked) == 2
    assert asked[0].line == asked[1].line
    assert asked[0].body == asked[1].body == BODY
