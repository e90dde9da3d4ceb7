"""Labels for answers that were given: taken, counted, and told to whoever listens."""

from collections.abc import Callable

from pointsman_sidecar.contract.decisions import Progress
from pointsman_sidecar.contract.errors import CompletionError, Kind
from pointsman_sidecar.telemetry.observer import Observer
from pointsman_sidecar.tuning.counting import Counting
from pointsman_sidecar.tuning.feedback import KEPT, MOST_ANSWERS, Answers, Feedback, Given, Heard
from pointsman_sidecar.tuning.labels import ArmLabels, ModelLabels

Listener = Callable[[Heard], None]


class Hearing:
    """Knows the answers of late, and what was said of them."""

    def __init__(self, *, counting: Counting, observer: Observer, clock: Callable[[], float]) -> None:
        self._observer = observer
        self._clock = clock
        self._answers = Answers()
        self._listeners: list[Listener] = [ModelLabels(counting).hear, ArmLabels(counting).hear]

    def listen(self, listener: Listener) -> None:
        """Be told of all feedback that is new: a label, or another one in place of that before."""
        self._listeners.append(listener)

    def gave(self, progress: Progress, session: str) -> None:
        """An answer was given, or part of one; where there was none, there is nothing to label."""
        if progress.answering is None:
            return
        given = Given(
            policy=str(progress.policy),
            policy_uid=progress.policy.uid,
            route=progress.plan.route,
            model=progress.answering.model.name,
            session=session,
            confidence=_judged(progress),
            split=_split(progress),
        )
        self._answers.gave(progress.id, given, self._clock())

    def negative(self, session: str) -> int:
        """How many answers of this session have a negative label."""
        return self._answers.negative(session, self._clock())

    def hear(self, decision_id: str, feedback: Feedback) -> None:
        """Take a label for an answer. What is said again is not counted again.

        Raises:
            CompletionError: there is no such answer.
        """
        heard = self._answers.label(decision_id, feedback, self._clock())
        if heard is None:
            raise CompletionError(
                Kind.NOT_FOUND,
                "UNKNOWN_DECISION",
                f"this sidecar knows no answer by that decision id: it keeps the last {MOST_ANSWERS:,} that it gave,"
                f" each for {KEPT / 60:.0f} minutes; ask the sidecar that gave it",
            )
        if heard.feedback == heard.before:
            return
        self._observer.feedback(decision_id, heard)
        for listener in self._listeners:
            listener(heard)


def _split(progress: Progress) -> str:
    """The split whose arm's own model gave the answer."""
    arm, answering = progress.plan.arm, progress.answering
    return arm.split if arm is not None and answering is not None and arm.model == answering.model.name else ""


def _judged(progress: Progress) -> float | None:
    """What the judge said of the answer that was used."""
    return next(
        (
            attempt.judged
            for attempt in reversed(progress.attempts)
            if attempt.step is progress.answering and not attempt.self_check and attempt.judged is not None
        ),
        None,
    )
