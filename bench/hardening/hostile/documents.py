"""Requests that are well formed, and what can be done to them: to the tree first, and then to its text."""

import json
from collections.abc import Callable
from copy import deepcopy
from random import Random
from typing import Any

from hostile.cases import CANARY

_NUMBERS = (0, -1, 2**31, 2**63, 2**64, 10**40, 1e308, 5e-324, -0.0, 1.5)
_TEXTS = (
    "",
    "\x00",
    "\ufeff",
    "\u202e" + CANARY,
    "x" * 600,
    "x" * 20_000,
    "a" * 50 + "!",
    " - at `$" * 200,
    "../../etc/passwd",
    "${jndi:ldap://x}",
    "%s%n{0}",
    "\U0001f600" * 50,
)
_OTHERS: tuple[Any, ...] = (None, True, False, [], {}, [[]], [{}], {"a": {}}, [None], "", 0)
_NAMES = ("model", "messages", "stream", "n", "__proto__", "constructor", "", "role", "x" * 300, "\u0000", "pointsman")

TOOL = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": CANARY,
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
    },
}


def chat(random: Random) -> dict[str, Any]:
    """A chat completion's request with some of all that it may have."""
    body: dict[str, Any] = {
        "model": random.choice(["auto", "mini", "gpt-4o"]),
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": f"{CANARY}: what is 2 + 2?"},
        ],
    }
    if random.random() < 0.3:
        body["messages"].append(
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": CANARY},
                    {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}},
                ],
            }
        )
    if random.random() < 0.3:
        body |= {"stream": True, "stream_options": {"include_usage": True}}
    if random.random() < 0.3:
        body |= {"tools": [deepcopy(TOOL)], "tool_choice": "auto"}
    if random.random() < 0.2:
        body["response_format"] = {"type": "json_schema", "json_schema": {"name": "a", "schema": {"type": "object"}}}
    if random.random() < 0.3:
        body |= {"metadata": {"topic": "legal"}, "user": "u-1", "max_tokens": 20}
    return body


def response(random: Random) -> dict[str, Any]:
    """A Responses request."""
    body: dict[str, Any] = {
        "model": "auto",
        "input": [{"role": "user", "content": [{"type": "input_text", "text": CANARY}]}],
        "instructions": "Be brief.",
    }
    if random.random() < 0.3:
        body["stream"] = True
    if random.random() < 0.3:
        body["tools"] = [{"type": "function", "name": "get_weather", "parameters": {"type": "object"}}]
    if random.random() < 0.3:
        body["input"] += [
            {"type": "function_call", "call_id": "c", "name": "get_weather", "arguments": "{}"},
            {"type": "function_call_output", "call_id": "c", "output": CANARY},
        ]
    return body


def embedding(random: Random) -> dict[str, Any]:
    """A request for embeddings."""
    return {"model": "auto", "input": random.choice([CANARY, [CANARY, "b"], [1, 2, 3], [[1, 2], [3]]])}


def mutated(document: Any, random: Random) -> Any:
    """The document with something wrong somewhere."""
    places = list(_places(document))
    if not places:
        return document
    holder, key = random.choice(places)
    match random.randrange(7):
        case 0:
            holder[key] = deepcopy(random.choice(_OTHERS))
        case 1:
            holder[key] = random.choice(_NUMBERS)
        case 2:
            holder[key] = random.choice(_TEXTS)
        case 3:
            del holder[key]
        case 4:
            holder[key] = [deepcopy(holder[key]) for _ in range(random.choice([2, 20]))]
        case 5 if isinstance(holder, dict):
            holder[random.choice(_NAMES)] = deepcopy(random.choice([*_OTHERS, *_NUMBERS]))
        case _:
            other, name = random.choice(places)
            holder[key] = deepcopy(other.get(name)) if isinstance(other, dict) else CANARY
    return document


def _places(document: Any) -> Any:
    items = (
        document.items() if isinstance(document, dict) else enumerate(document) if isinstance(document, list) else ()
    )
    for key, value in list(items):
        yield document, key
        yield from _places(value)


def written(document: Any, random: Random) -> bytes:
    """Its text, which may be no JSON any more."""
    try:
        raw = json.dumps(document, ensure_ascii=random.random() < 0.5).encode(errors="surrogatepass")
    except (ValueError, RecursionError):
        # A part that was put into itself.
        raw = b'{"messages": ['
    if random.random() < 0.6:
        return raw
    return random.choice(_TEXT_CHANGES)(raw, random)


def _cut(raw: bytes, random: Random) -> bytes:
    return raw[: random.randrange(len(raw) + 1)]


def _flipped(raw: bytes, random: Random) -> bytes:
    changed = bytearray(raw or b" ")
    for _ in range(random.choice([1, 3, 20])):
        changed[random.randrange(len(changed))] = random.randrange(256)
    return bytes(changed)


def _inserted(raw: bytes, random: Random) -> bytes:
    place = random.randrange(len(raw) + 1)
    return raw[:place] + random.choice(_SNIPPETS) + raw[place:]


def _repeated(raw: bytes, random: Random) -> bytes:
    # Every member twice, with the second of another kind.
    return raw[:-1] + b"," + random.choice([raw[1:-1], b'"messages":0', b'"model":"mini","model":null']) + b"}"


def _deep(raw: bytes, random: Random) -> bytes:
    depth = random.choice([10, 200, 900, 1100, 10_000, 49_000])
    begin, end = random.choice([(b"[", b"]"), (b'{"a":', b"}")])
    middle = random.choice([b"0", b""])
    name = random.choice([b"x", b"messages", b"tool_choice", b"metadata", b"tools", b"input"])
    return raw[:-1] + b',"' + name + b'":' + begin * depth + middle + random.choice([end * depth, b""]) + b"}"


def _wide(raw: bytes, random: Random) -> bytes:
    many = random.choice([100, 5_000, 60_000])
    name = random.choice([b"x", b"metadata", b"include", b"tools", b"stop", b"input", b"messages"])
    kind = random.choice([b"[%s]", b"{%s}"])
    item = random.choice([b"0", b'""', b"{}", b"[]", b'{"role":"user","content":"a"}', b'{"type":"x"}'])
    items = (item if kind == b"[%s]" else b'"k%d":%s' % (number, item) for number in range(many))
    return raw[:-1] + b',"' + name + b'":' + kind % b",".join(items) + b"}"


def _long(raw: bytes, random: Random) -> bytes:
    size = random.choice([10_000, 300_000, 3_900_000, 4_500_000])
    unit = random.choice([b"a", b"\\n", b"\\u00e9", "é".encode(), b" ", b"\\\\", b"1", b'\\"', b","])
    name = random.choice([b"x", b"model", b"user", b"truncation", b"instructions", b"input"])
    return raw[:-1] + b',"' + name + b'":"' + unit * (size // len(unit)) + b'"}'


def _digits(raw: bytes, random: Random) -> bytes:
    number = random.choice(
        [b"1" * 5_000, b"1" * 400_000, b"1e999999", b"-" + b"9" * 30, b"0." + b"1" * 9_000, b"1E400"]
    )
    name = random.choice([b"max_tokens", b"n", b"seed", b"temperature", b"x", b"max_output_tokens"])
    return raw[:-1] + b',"' + name + b'":' + number + b"}"


def _recoded(raw: bytes, random: Random) -> bytes:
    coding = random.choice(["utf-16", "utf-32", "utf-8-sig", "latin-1"])
    return raw.decode(errors="replace").encode(coding, errors="replace")


_SNIPPETS = (
    *(b"NaN", b"Infinity", b"-Infinity", b"\xff\xfe", b"\xed\xa0\x80", b'"\\ud800"', b"\\ud83d", b"\x00", b"/*", b"//"),
    *(
        b",,",
        b"{",
        b"}",
        b"[",
        b"]",
        b'"',
        b"\\",
        b"0x10",
        b"'",
        b"undefined",
        b"\xc3",
        b"\xf0\x9f",
        b'"\\x"',
        b"+1",
        b"01",
    ),
)
_TEXT_CHANGES: tuple[Callable[[bytes, Random], bytes], ...] = (
    *(_cut, _cut, _cut, _flipped, _flipped, _flipped, _inserted, _inserted, _inserted, _inserted, _inserted),
    *(_repeated, _repeated, _repeated, _digits, _digits, _recoded, _recoded, _inserted, _cut, _flipped),
    *(_deep, _wide, _long),
)
