"""What is read of a long text: its beginning and its end, so that any answer costs the same at most."""

from dataclasses import dataclass

# Characters. What nearly every answer to a question has; an end says more of an answer than its beginning does.
ANSWER_HEAD, ANSWER_TAIL = 1_200, 2_000
PROMPT_HEAD, PROMPT_TAIL = 800, 800


@dataclass(frozen=True, slots=True)
class Excerpt:
    """The part of a text that is read, and how many characters the whole has."""

    text: str
    length: int

    @property
    def is_whole(self) -> bool:
        """Whether nothing was left out."""
        return len(self.text) == self.length


def of_answer(text: str) -> Excerpt:
    """What is read of an answer."""
    return _excerpt(text, head=ANSWER_HEAD, tail=ANSWER_TAIL)


def of_prompt(text: str) -> Excerpt:
    """What is read of a prompt."""
    return _excerpt(text, head=PROMPT_HEAD, tail=PROMPT_TAIL)


def _excerpt(text: str, *, head: int, tail: int) -> Excerpt:
    if len(text) <= head + tail:
        return Excerpt(text, len(text))
    # A line break between the two: no sentence, and no sum, goes on across what was left out. It takes the place of
    # a character, so that the excerpt of a long text has always the same length.
    return Excerpt(f"{text[: head - 1]}\n{text[-tail:]}", len(text))
