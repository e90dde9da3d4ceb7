"""As much of what users say as rules are tried on: the same few pages of any request, however large it is."""

from collections.abc import Callable, Iterable, Sequence

# Of one message its beginning and its end, of the older ones what is left then. In characters.
LONGEST_MESSAGE = 6_000
LONGEST = 8_000
MOST_TOOLS = 64
LONGEST_TOOL_NAME = 128


def _nothing() -> tuple[str, ...]:
    return ()


class Content:
    """What users say, and the names of the tools: looked at when the first rule asks, and sampled once.

    `messages` are the users', the last one first.
    """

    __slots__ = ("_messages", "_said", "_tool_names")

    def __init__(self, *, messages: Callable[[], Iterable[str]], tool_names: Callable[[], Sequence[str]]) -> None:
        self._messages = messages
        self._tool_names = tool_names
        self._said: tuple[str, ...] | None = None

    @property
    def said(self) -> tuple[str, ...]:
        """Samples of the messages, the last one first."""
        if self._said is None:
            self._said = sampled(self._messages())
        return self._said

    @property
    def tool_names(self) -> Sequence[str]:
        """The names of the tools."""
        return self._tool_names()

    def forget(self) -> None:
        """Let go of the request: it is planned, and goes on as bytes."""
        self._messages = self._tool_names = _nothing


EMPTY = Content(messages=_nothing, tool_names=_nothing)


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
