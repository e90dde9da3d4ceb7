"""Cases for the gRPC door: messages for its methods, and bytes that are no call at all."""

from collections.abc import Mapping, Sequence
from random import Random
from typing import Any

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

from hostile.cases import CANARY, GrpcCase, Http2Case
from pointsman_api.v1 import completions_pb2, types_pb2

_SERVICE = "/pointsman_api.v1.Completions/"
_METHODS = ("Complete", "CompleteStream", "Explain")
_OTHERS = (
    "/pointsman_api.v1.Completions/Complain",
    "/x/y",
    "/",
    "/grpc.health.v1.Health/Check",
    "/grpc.health.v1.Health/Watch",
    "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
    "/" + "x" * 3000,
)
_TEXTS = ("", "x" * 600, "\x00", "\U0001f600" * 200, "x" * 300_000, "../..", CANARY)
_INTEGERS = (-(2**63), -1, 0, 2**31 - 1, 2**63 - 1)
_VALUES: Mapping[int, Sequence[object]] = {
    FieldDescriptor.CPPTYPE_STRING: _TEXTS,
    FieldDescriptor.CPPTYPE_BOOL: (True,),
    FieldDescriptor.CPPTYPE_ENUM: (0, 1, 2, 99, -1),
    FieldDescriptor.CPPTYPE_DOUBLE: (float("nan"), float("inf"), -1.0, 1e308),
    FieldDescriptor.CPPTYPE_INT32: (-1, 0, 2**31 - 1),
}
_JSON = (
    *(b"{", b"[]", b"\xff", b"{}", b'{"model":1}', b'{"a":NaN}', b'{"a":"\\ud800"}', b'{"a":' * 3000, b"[" * 49_000),
    *(b'{"a":[' + b"0," * 60_000 + b"0]}", b"{" + b'"a":0,' * 60_000 + b'"b":1}', b'{"a":1e999}', b"nul", b'""'),
)


def grpc_case(random: Random) -> GrpcCase | Http2Case:
    """A case."""
    draw = random.random()
    if draw < 0.08:
        return _http2(random)
    if draw < 0.14:
        path = random.choice(_OTHERS)
        return GrpcCase(
            what="another method", path=path, message=random.randbytes(random.choice([0, 5, 100])), streams=False
        )
    method = random.choice(_METHODS)
    message = _heavy(random) if draw > 0.995 else _message(random)
    return GrpcCase(
        what=f"a message for {method}",
        path=_SERVICE + method,
        message=message,
        streams=method == "CompleteStream",
        metadata=_metadata(random),
    )


def ordinary_grpc(random: Random) -> GrpcCase:
    """A call that nothing is wrong with."""
    message = _request(random).SerializeToString()
    return GrpcCase(what="an ordinary call", path=_SERVICE + "Complete", message=message, streams=False)


def _message(random: Random) -> bytes:
    request = _request(random)
    for _ in range(random.choice([0, 1, 1, 2, 4])):
        _mutate(request, random)
    raw = bytearray(request.SerializeToString())
    match random.randrange(8):
        case 0:
            return bytes(raw[: random.randrange(len(raw) + 1)])
        case 1:
            for _ in range(random.choice([1, 2, 10])):
                raw[random.randrange(len(raw))] = random.randrange(256)
        case 2:
            place = random.randrange(len(raw) + 1)
            raw[place:place] = random.randbytes(random.choice([1, 4, 30]))
        case 3:
            return bytes(raw).replace(CANARY.encode(), b"\xff" * len(CANARY))
        case 4:
            return random.randbytes(random.choice([1, 30, 2000]))
        case _:
            pass
    return bytes(raw)


def _request(random: Random) -> completions_pb2.CompleteRequest:
    part = completions_pb2.ContentPart(text=f"{CANARY}: what is 2 + 2?")
    request = completions_pb2.CompleteRequest(
        messages=[completions_pb2.Message(role=completions_pb2.ROLE_USER, content=[part])], model="auto"
    )
    if random.random() < 0.3:
        request.tools.add(name="get_weather", parameters_json_schema=b'{"type": "object"}')
    if random.random() < 0.3:
        request.hints.user = "u-1"
        request.hints.severity = types_pb2.SEVERITY_HIGH
        request.hints.metadata["topic"] = "legal"
    if random.random() < 0.2:
        request.response_format.json_schema.name = "a"
        request.response_format.json_schema.json_schema = b'{"type": "object"}'
    return request


def _mutate(message: Message, random: Random) -> None:
    """Set one of its fields, or one within, to what it is seldom."""
    if not message.DESCRIPTOR.fields:
        return
    fields: list[Any] = list(message.DESCRIPTOR.fields)
    field = random.choice(fields)
    held = getattr(message, field.name)
    if field.message_type is None:
        value = _value(field, random)
        if field.is_repeated:
            held.extend([value] * random.choice([1, 10, 500]))
        else:
            setattr(message, field.name, value)
    elif field.message_type.GetOptions().map_entry:
        for number in range(random.choice([1, 70, 3000])):
            held[f"k{number}" + random.choice(_TEXTS[:3])] = random.choice(_TEXTS[:4])
    elif field.is_repeated:
        if not held or random.random() < 0.3:
            for _ in range(random.choice([1, 3, 300])):
                held.add()
        _mutate(random.choice(held), random)
    else:
        held.SetInParent()
        _mutate(held, random)


def _value(field: FieldDescriptor, random: Random) -> object:
    if field.type == field.TYPE_BYTES:
        return random.choice([*_JSON, random.randbytes(40)])
    return random.choice(_VALUES.get(field.cpp_type, _INTEGERS))


def _heavy(random: Random) -> bytes:
    match random.randrange(5):
        case 0:
            return b"\x0a\x00" * 2_000_000
        case 1:
            inner = b"\x12\x00" * 1_900_000
            return b"\x0a" + _varint(len(inner)) + inner
        case 2:
            return b"\x1a\x00" * 2_000_000
        case 3:
            # More than any policy allows.
            return b"\x52" + _varint(76_000_000) + bytes(76_000_000)
        case _:
            return b"\x52" + _varint(6_000_000) + bytes(6_000_000)


def _metadata(random: Random) -> tuple[tuple[str, str | bytes], ...]:
    if random.random() < 0.8:
        return ()
    return random.choice(
        [
            (("traceparent", "x" * 2000),),
            (("traceparent", "00-" + "f" * 32 + "-" + "f" * 16 + "-01"),),
            tuple((f"x-{number}", "y") for number in range(60)),
            (("x-bin", random.randbytes(100)),),
            (("grpc-timeout-x", "1"), ("content-encoding", "gzip")),
        ]
    )


def _http2(random: Random) -> Http2Case:
    begin = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + _frame(4, 0, 0, b"")
    call = _frame(1, 4, 1, _headers("/pointsman_api.v1.Completions/Complete"))
    # Calls that are taken back as soon as they are made.
    resets = b"".join(
        call[:5] + stream.to_bytes(4, "big") + call[9:] + _frame(3, 0, stream, b"\0\0\0\x08")
        for stream in range(1, 100, 2)
    )
    what, sent = random.choice(
        [
            ("50 calls that are reset at once", begin + resets),
            ("random frames", begin + random.randbytes(300)),
            ("a message that breaks off", begin + call + _frame(0, 1, 1, b"\0" + (1000).to_bytes(4, "big") + b"short")),
            ("a message of 4 GiB, by its own word", begin + call + _frame(0, 0, 1, b"\0\xff\xff\xff\xff")),
            ("a flood of pings", begin + _frame(6, 0, 0, bytes(8)) * 300),
            ("a flood of settings", begin + _frame(4, 0, 0, b"\0\x04\0\0\xff\xff") * 300),
            ("no HTTP/2", random.randbytes(random.choice([1, 24, 500]))),
        ]
    )
    return Http2Case(what=what, sent=sent)


def _frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    return len(payload).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + payload


def _headers(path: str) -> bytes:
    """A call's headers, each written out (HPACK's literals without an index)."""
    given = {
        ":method": "POST",
        ":scheme": "http",
        ":path": path,
        ":authority": "door",
        "content-type": "application/grpc",
        "te": "trailers",
    }
    return b"".join(b"\0" + _text(name) + _text(value) for name, value in given.items())


def _text(text: str) -> bytes:
    return bytes([len(text)]) + text.encode()


def _varint(number: int) -> bytes:
    written = b""
    while number > 0x7F:
        written += bytes([number & 0x7F | 0x80])
        number >>= 7
    return written + bytes([number])
