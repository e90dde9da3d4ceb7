"""The text of a whole request that is scored: what the user asks now, and what it cannot be understood without."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

# A turn of this many characters stands for itself; a shorter one, such as "and why?", leans on what was said before.
STANDS_ALONE = 160
_CONTEXT = 400
_SYSTEM = 160
_TOOLS = 160


@dataclass(frozen=True, slots=True)
class Turn:
    """One message: who speaks (`system`, `developer`, `user`, `assistant`, `tool`), and what text it holds."""

    role: str
    text: str


def prompt_text(turns: Sequence[Turn], *, tools: Iterable[str] = ()) -> str:
    """The text to score: the last user's turn, led by what it leans on where it is short, then the names of tools.

    A conversation of one long turn gives that turn, unchanged. The system's message says much the same in each request
    of an app, so it is seen only beside a short turn; without a user's turn the last turn that has a text is scored.
    """
    at = _last(turns)
    if at < 0:
        return ""
    asked = turns[at].text
    pieces = [asked]
    if len(asked) < STANDS_ALONE:
        earlier = [each.text for each in turns[:at] if each.role == "user" and each.text]
        system = [each.text for each in turns[:at] if each.role in {"system", "developer"} and each.text]
        pieces = [*(each[:_SYSTEM] for each in system[:1]), *(each[-_CONTEXT:] for each in earlier[-1:]), asked]
    named = " ".join(tools)[:_TOOLS]
    return "\n".join([*pieces, named] if named else pieces)


def _last(turns: Sequence[Turn]) -> int:
    fallback = -1
    for index in range(len(turns) - 1, -1, -1):
        if turns[index].text:
            if turns[index].role == "user":
                return index
            fallback = max(fallback, index)
    return fallback
