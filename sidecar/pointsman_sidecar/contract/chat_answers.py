"""What a provider answers to a chat completion, looked at no more than needed: it is sent on byte for byte."""

from collections.abc import Mapping
from typing import Any, TypeVar

import msgspec

from pointsman_sidecar.contract.forms import ReadAnswer, ReadChunk
from pointsman_sidecar.contract.provider_answers import UnreadableAnswerError, read_usage

_Shape = TypeVar("_Shape")
# What a piece of an answer may hold without saying anything yet.
_NOTHING = frozenset({b"null", b'""', b"[]"})
_FIRST, _NONE = frozenset({0}), frozenset[int]()


class _Choice(msgspec.Struct):
    message: dict[str, msgspec.Raw]


class _Answer(msgspec.Struct):
    choices: list[_Choice]
    usage: Any = None


class _Delta(msgspec.Struct):
    index: int | None = 0
    delta: dict[str, msgspec.Raw] | None = None
    finish_reason: str | None = None


class _Chunk(msgspec.Struct):
    choices: list[_Delta]
    usage: Any = None


_answer = msgspec.json.Decoder(_Answer)
_chunk = msgspec.json.Decoder(_Chunk)


class ChatChunk(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A chunk as it came. One that `is_usage` says nothing of an answer, and what it cost."""

    raw: bytes
    is_usage: bool = False


def read_answer(raw: bytes) -> ReadAnswer[bytes]:
    """A whole answer.

    Raises:
        UnreadableAnswerError: it is not what the API promises.
    """
    answer = decoded(raw, _answer)
    if not answer.choices:
        raise UnreadableAnswerError("the answer has no choices")
    return ReadAnswer(content=raw, usage=read_usage({"usage": answer.usage}))


def read_chunk(raw: bytes) -> ReadChunk[ChatChunk]:
    """One piece of an answer.

    Raises:
        UnreadableAnswerError: it is not what the API promises.
    """
    chunk = decoded(raw, _chunk)
    choices = chunk.choices
    usage = read_usage({"usage": chunk.usage}) if chunk.usage is not None else None
    if len(choices) == 1 and not choices[0].index and not choices[0].finish_reason:
        # Nearly every chunk.
        return ReadChunk(
            content=ChatChunk(raw=raw), begins=_says(choices[0].delta or {}), seen=_FIRST, ended=_NONE, usage=usage
        )
    return ReadChunk(
        content=ChatChunk(raw=raw, is_usage=not choices and chunk.usage is not None),
        begins=any(choice.finish_reason or _says(choice.delta or {}) for choice in choices),
        seen={choice.index or 0 for choice in choices},
        ended={choice.index or 0 for choice in choices if choice.finish_reason},
        usage=usage,
    )


def decoded(raw: bytes, decoder: msgspec.json.Decoder[_Shape]) -> _Shape:
    """An answer by its shape.

    Raises:
        UnreadableAnswerError: it has another.
    """
    try:
        # msgspec does not look into what stays as it is; a client does.
        raw.decode()
        return decoder.decode(raw)
    except UnicodeDecodeError:
        raise UnreadableAnswerError("it is not UTF-8") from None
    except RecursionError:
        raise UnreadableAnswerError("it is nested too deeply") from None
    except (msgspec.DecodeError, ValueError) as error:
        raise UnreadableAnswerError(str(error)) from None


def _says(delta: Mapping[str, msgspec.Raw]) -> bool:
    for name, value in delta.items():  # noqa: SIM110 - a generator would take as long as all the rest of a chunk
        if name != "role" and bytes(value) not in _NOTHING:
            return True
    return False
