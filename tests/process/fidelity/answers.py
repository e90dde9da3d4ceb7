"""An answer in one shape, however it came: as JSON or chunks over HTTP, as a message or events over gRPC."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from pointsman_api.v1 import completions_pb2 as pb
from pointsman_api.v1 import decision_pb2

FINISH_REASONS = {
    pb.FINISH_REASON_STOP: "stop",
    pb.FINISH_REASON_LENGTH: "length",
    pb.FINISH_REASON_TOOL_CALLS: "tool_calls",
}


@dataclass(frozen=True, kw_only=True)
class Said:
    """One of the answers. Calls are by name and arguments; log-probabilities by token, number and candidates."""

    text: str
    calls: tuple[tuple[str, str], ...]
    finish_reason: str
    logprobs: tuple[tuple[str, float, int], ...]


@dataclass(frozen=True, kw_only=True)
class Answer:
    """All of them, and the tokens: input, cached input, output, reasoning."""

    choices: tuple[Said, ...]
    usage: tuple[int, int, int, int]


def from_json(body: dict[str, Any]) -> Answer:
    """A whole answer over HTTP."""
    return Answer(
        choices=tuple(
            Said(
                text=choice["message"]["content"] or "",
                calls=tuple(
                    (call["function"]["name"], call["function"]["arguments"])
                    for call in choice["message"].get("tool_calls") or ()
                ),
                finish_reason=choice["finish_reason"],
                logprobs=_logprobs(choice),
            )
            for choice in body["choices"]
        ),
        usage=_usage(body["usage"]),
    )


def from_chunks(chunks: Iterable[dict[str, Any]]) -> Answer:
    """A stream over HTTP, the last chunk of which says what it cost."""
    *said, bill = chunks
    texts: defaultdict[int, str] = defaultdict(str)
    calls: defaultdict[int, dict[int, list[str]]] = defaultdict(dict)
    ends: dict[int, str] = {}
    logprobs: defaultdict[int, tuple[tuple[str, float, int], ...]] = defaultdict(tuple)
    for chunk in said:
        for choice in chunk["choices"]:
            index, delta = choice["index"], choice["delta"]
            texts[index] += delta.get("content") or ""
            logprobs[index] += _logprobs(choice)
            for call in delta.get("tool_calls") or ():
                built = calls[index].setdefault(call["index"], ["", ""])
                built[0] += call["function"].get("name") or ""
                built[1] += call["function"].get("arguments") or ""
            if choice["finish_reason"]:
                ends[index] = choice["finish_reason"]
    return Answer(
        choices=tuple(
            Said(
                text=texts[index],
                calls=tuple((name, arguments) for name, arguments in calls[index].values()),
                finish_reason=ends[index],
                logprobs=logprobs[index],
            )
            for index in sorted(ends)
        ),
        usage=_usage(bill["usage"]),
    )


def from_message(message: pb.CompleteResponse) -> Answer:
    """A whole answer over gRPC."""
    return Answer(
        choices=tuple(
            Said(
                text="".join(part.text for part in choice.message.content),
                calls=tuple((call.name, call.arguments) for call in choice.message.tool_calls),
                finish_reason=FINISH_REASONS[choice.finish_reason],
                logprobs=tuple((token.token, token.logprob, len(token.top)) for token in choice.logprobs),
            )
            for choice in message.choices
        ),
        usage=_counts(message.decision.usage),
    )


def from_events(events: Iterable[pb.CompleteStreamResponse]) -> Answer:
    """A stream over gRPC."""
    *said, last = events
    texts: defaultdict[int, str] = defaultdict(str)
    calls: defaultdict[int, dict[int, list[str]]] = defaultdict(dict)
    ends: dict[int, str] = {}
    logprobs: defaultdict[int, tuple[tuple[str, float, int], ...]] = defaultdict(tuple)
    for event in said:
        for delta in event.chunk.choices:
            texts[delta.index] += delta.content
            logprobs[delta.index] += tuple((token.token, token.logprob, len(token.top)) for token in delta.logprobs)
            for call in delta.tool_calls:
                built = calls[delta.index].setdefault(call.index, ["", ""])
                built[0] += call.name
                built[1] += call.arguments
            if delta.finish_reason:
                ends[delta.index] = FINISH_REASONS[delta.finish_reason]
    return Answer(
        choices=tuple(
            Said(
                text=texts[index],
                calls=tuple((name, arguments) for name, arguments in calls[index].values()),
                finish_reason=ends[index],
                logprobs=logprobs[index],
            )
            for index in sorted(ends)
        ),
        usage=_counts(last.finished.usage),
    )


def _logprobs(choice: dict[str, Any]) -> tuple[tuple[str, float, int], ...]:
    tokens = (choice.get("logprobs") or {}).get("content") or ()
    return tuple((token["token"], token["logprob"], len(token["top_logprobs"])) for token in tokens)


def _usage(usage: dict[str, Any]) -> tuple[int, int, int, int]:
    return (
        usage["prompt_tokens"],
        usage["prompt_tokens_details"]["cached_tokens"],
        usage["completion_tokens"],
        usage["completion_tokens_details"]["reasoning_tokens"],
    )


def _counts(usage: decision_pb2.Usage) -> tuple[int, int, int, int]:
    return (usage.input_tokens, usage.cached_input_tokens, usage.output_tokens, usage.reasoning_tokens)
