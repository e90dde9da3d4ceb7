"""How this provider counts tokens: four characters make one token, the last may be shorter.

A real tokenizer would be truer and slower, and its counts could not be foreseen in a test. Beside text:

- 3 tokens for each message and 3 for the start of the answer;
- an image costs 85 tokens at detail `low`, else 765;
- a clip costs 1 token for each 3,200 bytes (0.1 s of 16 kHz mono WAV), rounded up;
- tool definitions, tool calls and a response schema cost what their compact JSON costs as text;
- reasoning costs 0, 64, 256 or 1,024 tokens by effort, and only models that reason do it.
"""

import json
import math
from collections.abc import Iterable

from pointsman_stub.errors import Json
from pointsman_stub.messages import Message
from pointsman_stub.models import REASONING, Model
from pointsman_stub.requests import ChatRequest

CHARACTERS = 4
PER_MESSAGE = 3
ANSWER_START = 3
IMAGE_LOW = 85
IMAGE_HIGH = 765
AUDIO_BYTES = 3_200

# OpenAI caches prefixes of at least 1,024 tokens, in steps of 128.
CACHE_FROM = 1_024
CACHE_STEP = 128


def split(text: str) -> tuple[str, ...]:
    """The tokens of a text; joined, they are the text again."""
    return tuple(text[at : at + CHARACTERS] for at in range(0, len(text), CHARACTERS))


def count(text: str) -> int:
    """How many tokens a text has."""
    return math.ceil(len(text) / CHARACTERS)


def count_prompt(request: ChatRequest) -> int:
    """All that the request costs before the first token of the answer."""
    extras = [*request.tools, *([request.schema] if request.schema else [])]
    return ANSWER_START + _of_messages(request.messages) + sum(count(compact(extra)) for extra in extras)


def count_cached(request: ChatRequest) -> int:
    """How much of the prompt counts as cached: what came before the last message, if that is long enough.

    The earlier turns of a conversation were the prompt of an earlier call, so a warm cache would hold them.
    """
    prefix = _of_messages(request.messages[:-1])
    return prefix // CACHE_STEP * CACHE_STEP if prefix >= CACHE_FROM else 0


def count_audio(request: ChatRequest) -> int:
    """How many tokens of the prompt are sound."""
    return sum(_of_audio(message) for message in request.messages)


def count_reasoning(request: ChatRequest, model: Model) -> int:
    """The hidden tokens that the model spends before it answers, once for each choice."""
    return REASONING[request.reasoning_effort or "medium"] if model.reasons else 0


def compact(value: Json | list[Json]) -> str:
    """JSON without blanks."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def _of_messages(messages: Iterable[Message]) -> int:
    return sum(
        PER_MESSAGE
        + count(message.text)
        + sum(IMAGE_LOW if image.detail == "low" else IMAGE_HIGH for image in message.images)
        + _of_audio(message)
        + (count(compact(list(message.tool_calls))) if message.tool_calls else 0)
        for message in messages
    )


def _of_audio(message: Message) -> int:
    return sum(max(1, math.ceil(clip.size / AUDIO_BYTES)) for clip in message.clips)
