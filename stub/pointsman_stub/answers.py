"""What the models say: canned sentences, chosen by model and question, never by chance.

An answer starts with `[model]`, so that a reader sees who answered, and says that it is canned. It repeats the start
of the question. The flagship answers in five sentences, every other model in one or two. Choices beyond the first
begin elsewhere in the list. A picture or a clip is named with its size; a tool's result is repeated.
What asks to be answered "Yes or No." is answered Yes, but No where `doubtful` stands anywhere in the conversation.
"""

import hashlib

from pointsman_stub.models import Model
from pointsman_stub.requests import ChatRequest

_SENTENCES = (
    "Begin with what the question gives, and write it down before adding anything to it.",
    "The parts that look alike are worth comparing first, since the difference decides.",
    "One step follows from another here, so each can be checked by itself.",
    "A small example of one's own shows quickly whether the idea holds.",
    "What is not said matters too: some readings can be ruled out by it.",
    "The usual rule applies, with the exception that it always has.",
    "Doing the sum twice, in two orders, guards against a slip.",
    "The shorter of two explanations is the better place to start.",
    "Units and names should agree at the end with those at the beginning.",
)
_QUOTED = 80
_IN_A_WORD = "Yes or No."
_DOUBT = "doubtful"
_FLAGSHIP_LENGTH = 5


def answer(request: ChatRequest, model: Model, *, choice: int = 0) -> str:
    """The whole text of one choice, before stop sequences and limits cut it."""
    question = request.question
    if question.text.endswith(_IN_A_WORD):
        return "No" if any(_DOUBT in message.text for message in request.messages) else "Yes"
    start = digest(model.id, question.text) + choice
    length = _FLAGSHIP_LENGTH if model.flagship else 1 + start % 2
    sentences = [_SENTENCES[(start + offset) % len(_SENTENCES)] for offset in range(length)]
    return " ".join([f"[{model.id}] Canned answer to {quoted(question.text)}.", *_seen(request), *sentences])


def confidence(model: Model, question: str) -> float:
    """How sure the model is of its answer: about 0.97 for the flagship, from 0.55 to 0.94 for the others."""
    return 0.97 if model.flagship else 0.55 + digest(model.id, question) % 40 / 100


def digest(*parts: str) -> int:
    """A number that depends on the texts alone, the same in every process."""
    return int.from_bytes(hashlib.sha256("\n".join(parts).encode()).digest()[:4], "big")


def quoted(text: str) -> str:
    """The start of a text, on one line and in quotation marks."""
    line = " ".join(text.split())
    return f'"{line}"' if len(line) <= _QUOTED else f'"{line[:_QUOTED]}…"'


def _seen(request: ChatRequest) -> list[str]:
    last = request.messages[-1]
    seen = [f"I see {image.description}." for image in request.question.images]
    seen += [f"I hear a {clip.format} clip of {clip.size} bytes." for clip in request.question.clips]
    if last.role == "tool":
        seen.append(f"The tool says {quoted(last.text)}.")
    return seen
