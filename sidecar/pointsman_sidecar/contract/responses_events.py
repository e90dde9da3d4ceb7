"""The chunks of a streamed chat completion as the events of OpenAI's Responses API. Pure: chunks in, events out."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from pointsman_sidecar.contract.responses_answers import call_item, message_item, response, text_part

Event = dict[str, Any]


@dataclass(kw_only=True, slots=True)
class _Open:
    """An output item that is being written."""

    index: int
    kind: str
    item_id: str
    text: str = ""
    logprobs: list[object] = field(default_factory=list)
    call_id: str = ""
    name: str = ""
    number: int = 0


class ResponseEvents:
    """One stream. Items are written one after the other, as models do: what is said, then each call."""

    def __init__(self, repeated: Mapping[str, msgspec.Raw]) -> None:
        self._repeated = repeated
        self._sequence = 0
        self._head: Mapping[str, Any] = {}
        self._output: list[Event] = []
        self._open: _Open | None = None
        self._finish_reason = "stop"
        self._usage: object = None

    def feed(self, chunk: Mapping[str, Any]) -> Iterator[Event]:
        """The events that a chunk stands for."""
        if not self._head:
            self._head = chunk
            for name in ("response.created", "response.in_progress"):
                yield self._event(name, response=self._response(None))
        self._usage = chunk.get("usage") or self._usage
        for choice in chunk.get("choices") or ():
            delta = choice.get("delta") or {}
            if delta.get("content"):
                yield from self._say(
                    "output_text", delta["content"], (choice.get("logprobs") or {}).get("content") or ()
                )
            if delta.get("refusal"):
                yield from self._say("refusal", delta["refusal"], ())
            for call in delta.get("tool_calls") or ():
                yield from self._call(call)
            self._finish_reason = choice.get("finish_reason") or self._finish_reason

    def finish(self, extension: Event) -> Iterator[Event]:
        """The events after the last chunk; `extension` are more members of the final response."""
        if self._open is None and not self._output:
            yield from self._begin("output_text")
        yield from self._close()
        final = self._response(self._finish_reason) | extension
        yield self._event(f"response.{final['status']}", response=final)

    def fail(self, code: str, message: str) -> Iterator[Event]:
        """The events of an answer that breaks off."""
        failed = self._response(None) | {"status": "failed", "error": {"code": code, "message": message}}
        yield self._event("response.failed", response=failed)

    def _say(self, kind: str, text: str, logprobs: Any) -> Iterator[Event]:
        if self._open is None or self._open.kind != kind:
            yield from self._close()
            yield from self._begin(kind)
        opened = self._opened()
        opened.text += text
        opened.logprobs += logprobs
        more = {"logprobs": list(logprobs)} if kind == "output_text" else {}
        yield self._event(f"response.{kind}.delta", **self._place(opened), content_index=0, delta=text, **more)

    def _call(self, call: Mapping[str, Any]) -> Iterator[Event]:
        number = call.get("index") or 0
        function = call.get("function") or {}
        if self._open is None or self._open.kind != "call" or self._open.number != number:
            yield from self._close()
            item = call_item(
                self._chat_id,
                number,
                call_id=call.get("id") or "",
                name=function.get("name") or "",
                arguments="",
                status="in_progress",
            )
            self._open = _Open(
                index=len(self._output),
                kind="call",
                item_id=item["id"],
                call_id=item["call_id"],
                name=item["name"],
                number=number,
            )
            yield self._event("response.output_item.added", output_index=self._open.index, item=item)
        if arguments := function.get("arguments"):
            opened = self._opened()
            opened.text += arguments
            yield self._event("response.function_call_arguments.delta", **self._place(opened), delta=arguments)

    def _begin(self, kind: str) -> Iterator[Event]:
        item = message_item(self._chat_id, [], status="in_progress")
        self._open = _Open(index=len(self._output), kind=kind, item_id=item["id"])
        yield self._event("response.output_item.added", output_index=self._open.index, item=item)
        yield self._event(
            "response.content_part.added", **self._place(self._open), content_index=0, part=_part(kind, "", ())
        )

    def _close(self) -> Iterator[Event]:
        opened, self._open = self._open, None
        if opened is None:
            return
        place = self._place(opened)
        if opened.kind == "call":
            item = call_item(
                self._chat_id, opened.number, call_id=opened.call_id, name=opened.name, arguments=opened.text
            )
            yield self._event("response.function_call_arguments.done", **place, arguments=opened.text, name=opened.name)
        else:
            part = _part(opened.kind, opened.text, opened.logprobs)
            item = message_item(self._chat_id, [part])
            if opened.kind == "output_text":
                yield self._event(
                    "response.output_text.done", **place, content_index=0, text=opened.text, logprobs=opened.logprobs
                )
            else:
                yield self._event("response.refusal.done", **place, content_index=0, refusal=opened.text)
            yield self._event("response.content_part.done", **place, content_index=0, part=part)
        self._output.append(item)
        yield self._event("response.output_item.done", output_index=opened.index, item=item)

    def _opened(self) -> _Open:
        if self._open is None:
            raise RuntimeError("no item is being written")
        return self._open

    @property
    def _chat_id(self) -> str:
        return str(self._head.get("id") or "")

    def _place(self, opened: _Open) -> dict[str, object]:
        return {"item_id": opened.item_id, "output_index": opened.index}

    def _response(self, finish_reason: str | None) -> Event:
        return response(
            chat_id=self._chat_id,
            created=self._head.get("created") or 0,
            model=self._head.get("model") or "",
            repeated=self._repeated,
            output=list(self._output),
            finish_reason=finish_reason,
            usage=self._usage,
        )

    def _event(self, type_: str, **members: object) -> Event:
        event = {"type": type_, "sequence_number": self._sequence, **members}
        self._sequence += 1
        return event


def _part(kind: str, text: str, logprobs: Any) -> Event:
    return text_part(text, logprobs=logprobs) if kind == "output_text" else {"type": "refusal", "refusal": text}
