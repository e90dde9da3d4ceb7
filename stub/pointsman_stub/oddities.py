"""Answers that are well formed, and odd all the same."""

import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from pointsman_stub.errors import Json
from pointsman_stub.replies import DONE, Reply, document, event

_PREFIX = len(b"data: ")


def odd(reply: Reply, oddity: str) -> Reply:
    """The reply with this oddity; one that is an error stays as it is."""
    change = _CHANGES[oddity]
    if reply.streams:
        bodies = [json.loads(part[_PREFIX:]) for part in reply.parts if part != DONE]
        parts = (*(event(body) for body in change(bodies)), DONE)
        return Reply(status=reply.status, content_type=reply.content_type, headers=reply.headers, parts=parts)
    body = json.loads(b"".join(reply.parts))
    if "choices" not in body:
        return reply
    [changed] = change([body])
    return document(changed, status=reply.status, headers=reply.headers)


def _no_choices(bodies: Iterable[Json]) -> Iterable[Json]:
    return [body | {"choices": []} for body in bodies]


def _no_usage(bodies: Iterable[Json]) -> Iterable[Json]:
    kept = [{name: value for name, value in body.items() if name != "usage"} for body in bodies]
    return [body for body in kept if body["choices"]]


def _wrong_usage(bodies: Iterable[Json]) -> Iterable[Json]:
    wrong = {"prompt_tokens": -1, "completion_tokens": "many", "total_tokens": None}
    return [body | ({"usage": wrong} if body.get("usage") else {}) for body in bodies]


def _filtered(bodies: Iterable[Json]) -> Iterable[Json]:
    return [body | {"choices": [_without_the_rest(choice) for choice in body["choices"]]} for body in bodies]


def _without_the_rest(choice: Mapping[str, Any]) -> Json:
    ended = choice["finish_reason"] is not None
    return {**choice, "finish_reason": "content_filter" if ended else None}


_CHANGES: Mapping[str, Callable[[Iterable[Json]], Iterable[Json]]] = {
    "no_choices": _no_choices,
    "no_usage": _no_usage,
    "wrong_usage": _wrong_usage,
    "filtered": _filtered,
}
