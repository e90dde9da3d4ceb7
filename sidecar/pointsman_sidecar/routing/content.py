"""As much of what users say as rules are tried on: the same few pages of any request, however large it is."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

# Of one message its beginning and its end, of the older ones what is left then. In characters.
LONGEST_MESSAGE = 6_000
LONGEST = 8_000
MOST_TOOLS = 64
LONGEST_TOOL_NAME = 128


def no_tools() -> Sequence[str]:
    """None are offered."""
    return ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Content:
    """What was sampled of the users' messages, the last one first; and the names of the tools, when somebody asks."""

    said: tuple[str, ...] = field(default=(), repr=False)
    tool_names: Callable[[], Sequence[str]] = field(default=no_tools, repr=False, compare=False)


EMPTY = Content()


def sampled(messages: Iterable[str]) -> tuple[str, ...]:
    """Samples of messages, the last one first; no more of them are read than are taken."""
    left = LONGEST
    samples: list[str] = []
    for message in messages:
        sample = ends(message, min(left, LONGEST_MESSAGE))
        samples.append(sample)
        left -= len(sample)
        if left <= 0:
            break
    return tuple(samples)


def ends(text: str, longest: int) -> str:
    """A text of at most so many characters, or its beginning and its end."""
    if len(text) <= longest:
        return text
    half = longest // 2
    return f"{text[:half]}\n{text[len(text) - half + 1 :]}"
