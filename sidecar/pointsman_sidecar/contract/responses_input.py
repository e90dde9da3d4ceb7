"""The conversation of a Responses request as the messages of a chat completion."""

from typing import Any

import msgspec

from pointsman_sidecar.contract import shapes
from pointsman_sidecar.contract.requests import InvalidRequestError, Violation, quoted
from pointsman_sidecar.contract.shapes import NOTHING

_ROLES = ("user", "assistant", "system", "developer")


class Part(msgspec.Struct, gc=False):
    """A part of a message or of a function's output."""

    type: str
    text: str | None = None
    refusal: str | None = None
    image_url: str | None = None
    detail: str | None = None
    file_id: str | None = None
    file_data: str | None = None
    filename: str | None = None
    input_audio: msgspec.Raw = NOTHING


class Item(msgspec.Struct, gc=False):
    """An item of the input: a message, a function's call, or what came of one."""

    type: str | None = None
    role: str | None = None
    content: str | list[Part] | None = None
    call_id: str | None = None
    name: str | None = None
    arguments: str | None = None
    output: str | list[Part] | None = None


def messages(given: str | list[Item], *, instructions: str | None) -> list[dict[str, Any]]:
    """The messages.

    Raises:
        InvalidRequestError: an item has no equal there.
    """
    said: list[dict[str, Any]] = []
    if instructions is not None:
        said.append({"role": "system", "content": instructions})
    if isinstance(given, str):
        return [*said, {"role": "user", "content": given}]
    for index, item in enumerate(given):
        where = f"input[{index}]"
        match item.type:
            case None | "message":
                said.append(_message(item, where))
            case "function_call":
                _add_call(said, item, where)
            case "function_call_output":
                said.append(_result(item, where))
            case other:
                raise _refused(
                    f"{where}.type", f"is {quoted(other)}: messages, function_call and function_call_output are served"
                )
    return said


def _message(item: Item, where: str) -> dict[str, Any]:
    if item.role not in _ROLES:
        raise _refused(f"{where}.role", f"must be one of {', '.join(_ROLES)}")
    if item.content is None:
        raise _refused(f"{where}.content", "is missing")
    return {"role": item.role, "content": _content(item.content, f"{where}.content")}


def _add_call(said: list[dict[str, Any]], item: Item, where: str) -> None:
    if not (item.call_id and item.name):
        raise _refused(where, "needs a call_id and a name")
    call = {
        "id": item.call_id,
        "type": "function",
        "function": {"name": item.name, "arguments": item.arguments or ""},
    }
    # A chat completion has what the model said and all that it called in one message.
    if not said or said[-1]["role"] != "assistant":
        said.append({"role": "assistant", "content": None})
    said[-1].setdefault("tool_calls", []).append(call)


def _result(item: Item, where: str) -> dict[str, Any]:
    if not item.call_id or item.output is None:
        raise _refused(where, "needs a call_id and an output")
    content = _content(item.output, f"{where}.output")
    if not isinstance(content, str) and any(part["type"] != "text" for part in content):
        raise _refused(f"{where}.output", "holds more than text, which is all that a tool's message can")
    return {"role": "tool", "tool_call_id": item.call_id, "content": content}


def _content(content: str | list[Part], where: str) -> str | list[dict[str, Any]]:
    if isinstance(content, str):
        return content
    return [_part(part, f"{where}[{index}]") for index, part in enumerate(content)]


def _part(part: Part, where: str) -> dict[str, Any]:
    match part.type:
        case "input_text" | "output_text" | "text":
            return {"type": "text", "text": part.text or ""}
        case "refusal":
            return {"type": "refusal", "refusal": part.refusal or ""}
        case "input_image":
            if not part.image_url:
                raise _refused(f"{where}.image_url", "is missing: files of the provider's cannot be looked at by id")
            detail = {"detail": part.detail} if part.detail else {}
            return {"type": "image_url", "image_url": {"url": part.image_url, **detail}}
        case "input_audio" if shapes.is_given(part.input_audio):
            return {"type": "input_audio", "input_audio": part.input_audio}
        case "input_file" if part.file_data or part.file_id:
            names = ("file_data", "file_id", "filename")
            return {"type": "file", "file": {name: value for name in names if (value := getattr(part, name))}}
        case other:
            raise _refused(where, f"of type {quoted(other)} has no equal in chat completions")


def _refused(field: str, why: str) -> InvalidRequestError:
    return InvalidRequestError((Violation(field, why),))
