"""Labels as they are counted for the fleet: those of arms, and for calibration whole ones, gathered from shares."""

from collections import OrderedDict

from pointsman_sidecar.tuning.arms import confidence_bin
from pointsman_sidecar.tuning.counting import Counting
from pointsman_sidecar.tuning.feedback import WHOLE, Heard

# Some policies' models and bins: of what is forgotten, less than one label is lost.
_MOST = 2_000
_Place = tuple[str, str, int, bool]


class ArmLabels:
    """Counts labels of answers that the arms of splits gave, where a split changes by itself."""

    def __init__(self, counting: Counting) -> None:
        self._counting = counting

    def hear(self, heard: Heard) -> None:
        """Count it."""
        given = heard.given
        if given.split and heard.is_first:
            self._counting.under(given.policy_uid).arm_label(
                split=given.split, model=given.model, negative=heard.feedback.label.is_negative
            )


class ModelLabels:
    """Counts what was heard, where the answer's confidence is known.

    A score of 0.7 is seven tenths of a right answer and three of a wrong one. Counts are whole numbers, so such tenths
    wait in their bin until they are one.
    """

    def __init__(self, counting: Counting) -> None:
        self._counting = counting
        self._parts: OrderedDict[_Place, int] = OrderedDict()

    def hear(self, heard: Heard) -> None:
        """Count it."""
        self._add(heard, heard.right, is_right=True)
        self._add(heard, heard.wrong, is_right=False)

    def _add(self, heard: Heard, share: int, *, is_right: bool) -> None:
        given = heard.given
        if given.confidence is None or not share:
            return
        place = (given.policy_uid, given.model, confidence_bin(given.confidence), is_right)
        whole, part = divmod(self._parts.pop(place, 0) + share, WHOLE)
        if whole:
            self._counting.under(given.policy_uid).label(given.model, given.confidence, is_right=is_right)
        if part:
            self._parts[place] = part
            if len(self._parts) > _MOST:
                self._parts.popitem(last=False)
