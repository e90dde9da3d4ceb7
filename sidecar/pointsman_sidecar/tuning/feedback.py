"""Answers that can still be labelled, by decision id: the last ones, for a while. Given the clock."""

from collections import OrderedDict
from dataclasses import dataclass
from enum import Enum, auto

from pointsman_sidecar.tuning.sessions import Session, Sessions

MOST_ANSWERS = 10_000
KEPT = 3600.0
# Scores are told apart by so much: sums of thousandths are exact.
WHOLE = 1_000


class Label(Enum):
    """What an answer was found to be."""

    GOOD = auto()
    BAD = auto()
    HALLUCINATION = auto()

    @property
    def is_negative(self) -> bool:
        """Whether it says that the answer would not do."""
        return self is not Label.GOOD


@dataclass(frozen=True, slots=True)
class Feedback:
    """What was said of an answer. `score` is how good it was, from 0 to 1; None where the label says it all."""

    label: Label
    score: float | None = None

    @property
    def right(self) -> int:
        """How good the answer was, in thousandths."""
        if self.score is not None:
            return round(self.score * WHOLE)
        return 0 if self.label.is_negative else WHOLE


@dataclass(frozen=True, kw_only=True, slots=True)
class Given:
    """Which answer was given: what its label is counted by.

    `confidence` is what the judge said of it before any calibration, None where it was not judged. `split` names the
    split whose arm's own model answered, where that split changes by itself.
    """

    policy: str
    policy_uid: str
    route: str
    model: str
    session: str = ""
    confidence: float | None = None
    split: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Heard:
    """Feedback on an answer, and what was said of it `before`, None where nothing was.

    For counts that only grow an answer counts as one right and one wrong at most, however often somebody changes their
    mind: `right` and `wrong` are what this adds, in thousandths, and it `is_first` of its sign, negative or not.
    """

    given: Given
    feedback: Feedback
    before: Feedback | None = None
    right: int = 0
    wrong: int = 0
    is_first: bool = False


@dataclass(kw_only=True, slots=True)
class _Answer:
    at: float
    given: Given
    feedback: Feedback | None = None
    counted: Session | None = None
    signs: frozenset[bool] = frozenset()
    right: int = 0
    wrong: int = 0


class Answers:
    """The answers, how each was labelled last, and how their sessions stand by that."""

    def __init__(self, *, most: int = MOST_ANSWERS) -> None:
        self._most = most
        self._known: OrderedDict[str, _Answer] = OrderedDict()
        self._sessions = Sessions()

    def gave(self, decision_id: str, given: Given, now: float) -> None:
        """Know an answer; the oldest make room."""
        if decision_id in self._known:
            return
        self._known[decision_id] = _Answer(at=now, given=given)
        self._forget(now)

    def label(self, decision_id: str, feedback: Feedback, now: float) -> Heard | None:
        """Label an answer. None where it is not known."""
        self._forget(now)
        if (answer := self._known.get(decision_id)) is None:
            return None
        before, answer.feedback = answer.feedback, feedback
        self._count(answer, now)
        right, wrong = max(answer.right, feedback.right), max(answer.wrong, WHOLE - feedback.right)
        heard = Heard(
            given=answer.given,
            feedback=feedback,
            before=before,
            right=right - answer.right,
            wrong=wrong - answer.wrong,
            is_first=feedback.label.is_negative not in answer.signs,
        )
        answer.signs |= {feedback.label.is_negative}
        answer.right, answer.wrong = right, wrong
        return heard

    def negative(self, session: str, now: float) -> int:
        """How many answers of the session have a negative label; none where there is no session."""
        return self._sessions.negative(session, now) if session else 0

    def _count(self, answer: _Answer, now: float) -> None:
        is_negative = answer.feedback is not None and answer.feedback.label.is_negative
        if is_negative and answer.counted is None and answer.given.session:
            answer.counted = self._sessions.add(answer.given.session, now)
        elif not is_negative and answer.counted is not None:
            answer.counted.negative -= 1
            answer.counted = None

    def _forget(self, now: float) -> None:
        while self._known:
            oldest = next(iter(self._known.values()))
            if len(self._known) <= self._most and now - oldest.at <= KEPT:
                return
            self._known.popitem(last=False)
