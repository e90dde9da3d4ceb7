"""The `messages` of a chat request, read and checked; the rest of the request is read in `requests`."""

import base64
import binascii
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from pointsman_stub.errors import ApiError, Json, missing, wrong_type, wrong_value
from pointsman_stub.fields import array, mapping, string

_ROLES = ("developer", "system", "user", "assistant", "tool", "function")
_IMAGE_DETAILS = ("auto", "low", "high", "original")
_CLIP_FORMATS = ("wav", "mp3")


@dataclass(frozen=True, kw_only=True)
class Image:
    """A picture, known by what can be said of it without looking."""

    description: str
    detail: str


@dataclass(frozen=True, kw_only=True)
class Clip:
    """A sound: its format and how many bytes it has."""

    format: str
    size: int


@dataclass(frozen=True, kw_only=True)
class Message:
    """One message; its text parts are joined by line ends."""

    role: str
    text: str
    images: tuple[Image, ...] = ()
    clips: tuple[Clip, ...] = ()
    tool_calls: tuple[Json, ...] = ()
    tool_call_id: str | None = None


def parse_messages(value: object) -> tuple[Message, ...]:
    """The conversation, or the first thing that is wrong with it."""
    if value is None:
        raise missing("messages")
    items = array(value, path="messages")
    messages = tuple(_message(item, path=f"messages[{index}]") for index, item in enumerate(items))
    _check_tool_turns(messages)
    return messages


def _message(value: object, *, path: str) -> Message:
    if not isinstance(value, dict):
        raise wrong_type(path, expected="an object", got=value)
    role = value.get("role")
    if role is None:
        raise missing(f"{path}.role")
    if role not in _ROLES:
        raise wrong_value(f"{path}.role", expected=f"one of {', '.join(_ROLES)}")
    calls = _tool_calls(value.get("tool_calls"), path=f"{path}.tool_calls")
    texts, images, clips = _content(value, path=f"{path}.content", optional=role == "assistant")
    tool_call_id = value.get("tool_call_id")
    if role == "tool" and not isinstance(tool_call_id, str):
        raise missing(f"{path}.tool_call_id")
    if role != "user" and (images or clips):
        raise wrong_value(f"{path}.content", expected=f"text, for images and audio belong to 'user', not '{role}'")
    return Message(
        role=role,
        text="\n".join(texts),
        images=tuple(images),
        clips=tuple(clips),
        tool_calls=calls,
        tool_call_id=tool_call_id,
    )


def _tool_calls(value: object, *, path: str) -> tuple[Json, ...]:
    if value is None:
        return ()
    calls = array(value, path=path)
    for index, call in enumerate(calls):
        if not isinstance(call, dict):
            raise wrong_type(f"{path}[{index}]", expected="an object", got=call)
        string(call, "id", path=f"{path}[{index}]")
    return tuple(calls)


def _content(message: Json, *, path: str, optional: bool) -> tuple[list[str], list[Image], list[Clip]]:
    content = message.get("content")
    texts: list[str] = []
    images: list[Image] = []
    clips: list[Clip] = []
    match content:
        case None if not optional:
            raise (
                missing(path)
                if "content" not in message
                else wrong_type(path, expected="a string or an array of parts", got=None)
            )
        case None:
            pass
        case str():
            texts.append(content)
        case list():
            for part in _parts(content, path=path):
                match part:
                    case Image():
                        images.append(part)
                    case Clip():
                        clips.append(part)
                    case str():
                        texts.append(part)
        case _:
            raise wrong_type(path, expected="a string or an array of parts", got=content)
    return texts, images, clips


def _parts(content: list[Any], *, path: str) -> Iterator[str | Image | Clip]:
    for index, part in enumerate(content):
        here = f"{path}[{index}]"
        if not isinstance(part, dict):
            raise wrong_type(here, expected="an object", got=part)
        match part.get("type"):
            case "text" | "refusal" as kind:
                yield string(part, kind, path=here)
            case "image_url":
                yield _image(part, path=here)
            case "input_audio":
                yield _clip(part, path=here)
            case _:
                raise wrong_value(f"{here}.type", expected="one of text, image_url, input_audio, refusal")


def _image(part: Json, *, path: str) -> Image:
    image = mapping(part, "image_url", path=path)
    here = f"{path}.image_url"
    url = string(image, "url", path=here)
    detail = image.get("detail", "auto")
    if detail not in _IMAGE_DETAILS:
        raise wrong_value(f"{here}.detail", expected=f"one of {', '.join(_IMAGE_DETAILS)}")
    if url.startswith(("http://", "https://")):
        return Image(description=f"the image at {url}", detail=detail)
    head, comma, data = url.partition(",")
    if not (head.startswith("data:image/") and head.endswith(";base64") and comma):
        raise ApiError(
            f"Invalid value for '{here}.url': expected an http(s) URL or data:image/TYPE;base64,DATA.",
            param=f"{here}.url",
            code="invalid_image_url",
        )
    kind = head.removeprefix("data:").removesuffix(";base64")
    return Image(description=f"{kind} of {_base64_size(data, param=f'{here}.url')} bytes", detail=detail)


def _clip(part: Json, *, path: str) -> Clip:
    audio = mapping(part, "input_audio", path=path)
    here = f"{path}.input_audio"
    if audio.get("format") not in _CLIP_FORMATS:
        raise wrong_value(f"{here}.format", expected=f"one of {', '.join(_CLIP_FORMATS)}")
    size = _base64_size(string(audio, "data", path=here), param=f"{here}.data")
    return Clip(format=audio["format"], size=size)


def _base64_size(data: str, *, param: str) -> int:
    try:
        return len(base64.b64decode(data, validate=True))
    except (binascii.Error, ValueError):
        raise ApiError(
            f"Invalid value for '{param}': its data is not base64.", param=param, code="invalid_base64"
        ) from None


def _check_tool_turns(messages: tuple[Message, ...]) -> None:
    """Refuse a conversation whose tool calls and tool answers do not pair up.

    OpenAI refuses it too, and whoever shortens a history is likely to produce one.
    """
    open_calls: set[str] = set()
    for index, message in enumerate(messages):
        if message.role == "tool":
            if message.tool_call_id not in open_calls:
                raise ApiError(
                    f"messages[{index}] has role 'tool' but answers no tool call of the assistant message before it.",
                    param=f"messages[{index}].role",
                )
            open_calls.discard(message.tool_call_id)
            continue
        _refuse_unanswered(open_calls)
        open_calls = {call["id"] for call in message.tool_calls}
    _refuse_unanswered(open_calls)


def _refuse_unanswered(open_calls: set[str]) -> None:
    if open_calls:
        raise ApiError(
            f"These tool calls have no message with role 'tool' after them: {', '.join(sorted(open_calls))}.",
            param="messages",
        )
