"""What labels say of confidences, summed up by model: pure. Sidecars learn from the sums what a confidence means."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import zip_longest

BINS = 50
# Of fewer labels in all nothing is learned.
ENOUGH = 20
# Old labels make way: beyond so many of a model, each counts half.
MOST = 20_000
# What a fleet's sidecars are told anew: so many more labels, for each that they were told of.
_WORTH = 0.05
MOST_MODELS = 64


@dataclass(frozen=True, kw_only=True)
class Labels:
    """Labels of one model's answers, by the bin of what the judge said of these."""

    right: tuple[int, ...] = ()
    wrong: tuple[int, ...] = ()

    @property
    def count(self) -> int:
        """How many these are."""
        return sum(self.right) + sum(self.wrong)


def taken_in(known: Mapping[str, Labels], more: Mapping[str, Labels]) -> Mapping[str, Labels]:
    """The labels with more of them."""
    if not more:
        return known
    summed = {model: _sum(known.get(model, Labels()), labels) for model, labels in more.items()}
    # A policy has fewer models; whoever names more is not heard.
    return dict(list({**known, **summed}.items())[:MOST_MODELS])


def told(before: Mapping[str, Labels], now: Mapping[str, Labels]) -> Mapping[str, Labels]:
    """What sidecars are to be told, who were told the one before: the same object while it is not worth their while."""
    count, known = _count(now), _count(before)
    if count < ENOUGH or abs(count - known) <= known * _WORTH:
        return before
    return now


def _count(labels: Mapping[str, Labels]) -> int:
    return sum(each.count for each in labels.values())


def _sum(known: Labels, more: Labels) -> Labels:
    right, wrong = _added(known.right, more.right), _added(known.wrong, more.wrong)
    if sum(right) + sum(wrong) > MOST:
        right, wrong = tuple(each // 2 for each in right), tuple(each // 2 for each in wrong)
    return Labels(right=right, wrong=wrong)


def _added(one: tuple[int, ...], other: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(sum(each) for each in zip_longest(one, other, fillvalue=0))
