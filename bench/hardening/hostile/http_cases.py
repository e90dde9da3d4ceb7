"""Cases for the HTTP door."""

import gzip
import json
import zlib
from functools import cache
from random import Random

from hostile.cases import CANARY, Answer, HttpCase
from hostile.documents import chat, embedding, mutated, response, written

_PATHS = {"/v1/chat/completions": chat, "/v1/responses": response, "/v1/embeddings": embedding}
_HUNDRED_MEGABYTES = 100_000_000
_ODD_PATHS = (
    *(b"/", b"/v1", b"/v1/", b"//v1/models", b"/v1/models/%ff", b"/v1/models/%00", b"/v1/models/../x", b"*", b"/%"),
    *(
        b"/v1/models/" + b"a" * 4000,
        b"/v1/models/%ed%a0%80",
        b"/v1/chat/completions?x=%ff",
        b"/v1/models/a\xff",
        b"/\xff",
    ),
    *(b"http://x/v1/models", b"x", b"/v1/chat/completions/", b"/v1/models/" + CANARY.encode(), b"/v1/models/auto"),
)
_OWN = ("user", "session", "severity", "priority", "metadata", "decision", "x")
_ODD_VALUES = (
    *(b"", b"high", b"body", b"{", b'{"a":"b"}', b'{"a":1}', b'{"a":' * 500, b"\xff", b"\xed\xa0\x80", b"x" * 600),
    *(
        b'"\\ud800"',
        b'{"a":"\\ud800"}',
        b"x" * 7000,
        "é".encode(),
        b"a\tb",
        b"[]",
        b"{" + b'"a":"b",' * 800 + b'"c":""}',
    ),
)


def http_case(random: Random) -> HttpCase:
    """A case."""
    draw = random.random()
    if draw < 0.70:
        return _body(random)
    if draw < 0.80:
        return _headers(random)
    if draw < 0.90:
        return _target(random)
    if draw < 0.99:
        return _wire(random)
    return _heavy(random)


def ordinary_http(random: Random) -> HttpCase:
    """A request that nothing is wrong with."""
    path, make = random.choice(list(_PATHS.items()))
    return HttpCase(what="an ordinary request", sent=_request(json.dumps(make(random)).encode(), target=path.encode()))


def _request(
    body: bytes,
    *,
    method: bytes = b"POST",
    target: bytes = b"/v1/chat/completions",
    content_type: bytes = b"application/json",
    headers: bytes = b"",
    length: bytes | None = None,
) -> bytes:
    size = str(len(body)).encode() if length is None else length
    return (
        method
        + b" "
        + target
        + b" HTTP/1.1\r\nhost: door\r\nconnection: close\r\nauthorization: Bearer "
        + CANARY.encode()
        + b"\r\ncontent-type: "
        + content_type
        + b"\r\ncontent-length: "
        + size
        + b"\r\n"
        + headers
        + b"\r\n"
        + body
    )


def _made(random: Random) -> tuple[str, bytes]:
    path, make = random.choice(list(_PATHS.items()))
    document = make(random)
    for _ in range(random.choice([0, 1, 1, 1, 2, 3])):
        if isinstance(document, dict) and document:
            document = mutated(document, random)
    return path, written(document, random)


def _body(random: Random) -> HttpCase:
    path, body = _made(random)
    return HttpCase(what=f"a body for {path}", sent=_request(body, target=path.encode()))


def _headers(random: Random) -> HttpCase:
    path, body = _made(random)
    match random.randrange(5):
        case 0:
            kinds = [
                b"text/plain",
                b"",
                b"application/json; charset=utf-16",
                b"multipart/form-data",
                b"\xff",
                b"a" * 5000,
            ]
            sent = _request(body, target=path.encode(), content_type=random.choice(kinds))
            return HttpCase(what="another content type", sent=sent)
        case 1:
            many = b"".join(b"x-%d: y\r\n" % number for number in range(random.choice([100, 200, 5_000])))
            return HttpCase(what="a flood of headers", sent=_request(body, headers=many), answer=Answer.ANY)
        case 2:
            long = b"x-long: " + b"y" * random.choice([8_000, 9_000, 1_000_000]) + b"\r\n"
            return HttpCase(what="a long header", sent=_request(body, headers=long), answer=Answer.ANY)
        case _:
            value = random.choice(_ODD_VALUES)
            name = random.choice(_OWN).encode()
            own = (
                b"x-pointsman-" + name + b": " + value + b"\r\ntraceparent: " + random.choice(_ODD_VALUES[:6]) + b"\r\n"
            )
            return HttpCase(what="a header of ours", sent=_request(body, target=path.encode(), headers=own))


def _target(random: Random) -> HttpCase:
    method = random.choice([b"GET", b"GET", b"POST", b"PUT", b"DELETE", b"OPTIONS", b"HEAD", b"PATCH", b"TRACE"])
    sent = _request(b"", method=method, target=random.choice(_ODD_PATHS))
    # The answer to HEAD has no body, and some of these are no targets.
    return HttpCase(what="another method or target", sent=sent, answer=Answer.ANY)


def _wire(random: Random) -> HttpCase:
    _, body = _made(random)
    chunked = b"transfer-encoding: chunked\r\n"
    size = b"%x\r\n" % len(body)
    whole = _request(body)
    sent = random.choice(
        [
            # Two lengths, two framings, and what a front that believed the other would take for a second request.
            _request(body, headers=b"content-length: 3\r\n"),
            _request(size + body + b"\r\n0\r\n\r\n", headers=chunked),
            _request(b"0\r\n\r\nGET /v1/models HTTP/1.1\r\nhost: x\r\n\r\n", headers=chunked),
            _request(body, headers=b"transfer-encoding: identity, chunked\r\n"),
            _request(body, headers=b"transfer-encoding : chunked\r\n"),
            _request(body, headers=b" folded: x\r\n"),
            _request(body, length=b"-1"),
            _request(body, length=b"+5"),
            _request(body, length=b"9" * 30),
            _request(body, length=b"1, 1"),
            whole.replace(b"content-length", b"x-none").replace(b"\r\n\r\n", b"\r\n" + chunked + b"\r\n", 1),
            whole.replace(
                b"HTTP/1.1", random.choice([b"HTTP/2.0", b"HTTP/0.9", b"HTTP/1.1x", b"http/1.1", b"HTTP/1.0"]), 1
            ),
            whole.replace(b"\r\n", b"\n"),
            whole.replace(b"host: door\r\n", b"host: a\r\nhost: b\r\n", 1),
            whole.replace(b"POST", random.choice([b"P\x00ST", b"\xffPOST", b"POST\t", CANARY.encode()]), 1),
            whole[: random.randrange(len(whole))],
            random.randbytes(random.choice([1, 100, 10_000])),
            b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + random.randbytes(200),
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + random.randbytes(50),
            whole.replace(b"connection: close", b"connection: upgrade\r\nupgrade: websocket", 1),
            _request(body, headers=b"expect: 100-continue\r\n"),
            _request(body, headers=b"expect: " + CANARY.encode() + b"\r\n"),
            _request(b"zz\r\n" + body, headers=chunked).replace(b"content-length", b"x-length", 1),
            _request(b"%x;%s\r\n" % (len(body), b"e" * 20_000) + body, headers=chunked).replace(
                b"content-length", b"x-l", 1
            ),
            whole + whole + whole,
        ]
    )
    return HttpCase(what="what is hardly HTTP", sent=sent, answer=Answer.ANY)


def _heavy(random: Random) -> HttpCase:
    path = random.choice(list(_PATHS)).encode()
    match random.randrange(12):
        case 0:
            size = str(_HUNDRED_MEGABYTES).encode()
            return HttpCase(what="100 MB", sent=_request(b"", target=path, length=size), blanks=_HUNDRED_MEGABYTES)
        case 1 | 2 | 3:
            coding = random.choice(["gzip", "deflate"])
            bomb = _bomb(coding)
            sent = _request(bomb, target=path, headers=b"content-encoding: " + coding.encode() + b"\r\n")
            return HttpCase(what=f"a {coding} bomb", sent=sent)
        case 4:
            sent = _request(random.randbytes(500), target=path, headers=b"content-encoding: gzip\r\n")
            return HttpCase(what="what is no gzip", sent=sent)
        case _:
            return HttpCase(what="four megabytes of structure", sent=_request(_structure(random), target=path))


@cache
def _bomb(coding: str) -> bytes:
    # 200 MB of blanks.
    blanks = b" " * 200_000_000
    return gzip.compress(blanks, 9) if coding == "gzip" else zlib.compress(blanks, 9)


def _structure(random: Random) -> bytes:
    name = random.choice([b"messages", b"tools", b"x", b"input", b"include", b"metadata"])
    unit = random.choice([b"{},", b"[],", b'"",', b"0,", b'{"role":"user","content":"a"},', b"[[]],", b'{"a":[{}]},'])
    body = b'{"messages":[{"role":"user","content":"' + CANARY.encode() + b'"}],"' + name + b'":['
    return body + unit * ((4_100_000 - len(body)) // len(unit)) + unit.rstrip(b",") + b"]}"
