"""Words and phrases, found in a text whole and in any case, at a cost that the text's length bounds.

A text is cut into words once. Each list of words is then a few look-ups in sets, and no regular expression: what a text
repeats costs nothing, and however many words are looked for, the text is gone through once for those that end in *.
"""

import re
import unicodedata
from collections.abc import Mapping
from functools import cached_property
from typing import Generic, TypeVar

_Found = TypeVar("_Found")
_WORD = re.compile(r"\w+")
# Such words are found by what is between the words of a language; others, as C++ or .NET, by the blanks around them.
_PLAIN = re.compile(r"[\w\s'\u2019-]+")
_MARKS = ".,;:!?¡¿…()[]{}<>\"'«»„“”\u2018\u2019`*_"
# Scripts that put no blanks between words: there, a word stands wherever its characters do.
_UNSPACED = re.compile(r"[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff]")
_ACCENT = re.compile(r"[\u0300-\u036f]")
_STAR = "*"
_HEAD = 2


class Text:
    """A text as words are looked for in it. Made when the first rule asks."""

    def __init__(self, text: str) -> None:
        self.text = _folded(text)

    @cached_property
    def words(self) -> "Run":
        """By what is between words."""
        return Run(_WORD.findall(self.text))

    @cached_property
    def pieces(self) -> "Run":
        """By blanks, without the marks at the ends."""
        return Run(_pieces(self.text))


class Run:
    """Words in their order."""

    def __init__(self, words: list[str]) -> None:
        self._words = words
        self.distinct = frozenset(words)

    @cached_property
    def line(self) -> str:
        """All in one line, with a blank before and after each."""
        return f" {' '.join(self._words)} "


class Words(Generic[_Found]):
    """Words, and what each of them tells."""

    def __init__(self, told: Mapping[str, _Found]) -> None:
        self._inside: list[tuple[str, _Found]] = []
        self._plain, self._odd = _Index[_Found](), _Index[_Found]()
        for word, found in told.items():
            folded = _folded(word).strip()
            if _UNSPACED.search(folded):
                self._inside.append((folded.rstrip(_STAR), found))
                continue
            stem = folded.rstrip(_STAR)
            is_plain = _PLAIN.fullmatch(stem) is not None
            index, cut = (self._plain, _WORD.findall(stem)) if is_plain else (self._odd, _pieces(stem))
            if cut:
                index.add(cut, is_stem=stem != folded, found=found)

    def found(self, text: Text) -> frozenset[_Found]:
        """What those of the words tell that stand in the text."""
        found = {told for word, told in self._inside if word in text.text}
        if self._plain:
            found |= self._plain.found(text.words)
        if self._odd:
            found |= self._odd.found(text.pieces)
        return frozenset(found)


class _Index(Generic[_Found]):
    def __init__(self) -> None:
        self._whole: dict[str, list[_Found]] = {}
        self._stems: dict[str, list[tuple[str, _Found]]] = {}
        self._phrases: list[tuple[frozenset[str], str, _Found]] = []

    def __bool__(self) -> bool:
        return bool(self._whole or self._stems or self._phrases)

    def add(self, words: list[str], *, is_stem: bool, found: _Found) -> None:
        if len(words) > 1:
            whole = words[:-1] if is_stem else words
            self._phrases.append((frozenset(whole), f" {' '.join(words)}{'' if is_stem else ' '}", found))
        elif is_stem:
            self._stems.setdefault(words[0][:_HEAD], []).append((words[0], found))
        else:
            self._whole.setdefault(words[0], []).append(found)

    def found(self, run: Run) -> set[_Found]:
        found = {told for word in self._whole.keys() & run.distinct for told in self._whole[word]}
        if self._stems:
            stems = self._stems
            for word in run.distinct:
                # A stem of one letter stands under that letter alone.
                for head in (word[:_HEAD], word[:1]):
                    if head in stems:
                        found |= {told for stem, told in stems[head] if word.startswith(stem)}
        found |= {told for whole, phrase, told in self._phrases if whole <= run.distinct and phrase in run.line}
        return found


def _folded(text: str) -> str:
    # An accent may stand as a sign of its own. To compose costs more than all else here, so only where one does.
    if not text.isascii() and _ACCENT.search(text):
        text = unicodedata.normalize("NFC", text)
    return text.casefold()


def _pieces(text: str) -> list[str]:
    # A point before a word is part of it, as in .NET; one after it ends a sentence.
    return [bare for piece in text.split() if (bare := piece.rstrip(_MARKS).lstrip(_MARKS[1:]))]
