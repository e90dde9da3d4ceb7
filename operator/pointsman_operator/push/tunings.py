"""What sidecars have counted, on its way to who sums it up, and what was made of that, on its way back. No I/O."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from pointsman_api.v1 import tuning_pb2 as tuning
from pointsman_operator.push.session import Counted, Session
from pointsman_operator.push.sessions import Sessions
from pointsman_operator.resources import Key

LONGEST_NAME = 64
MOST_BINS = 256
MOST_LABEL_BINS = 50
# As many as a policy may have.
MOST_MODELS = 64
MOST_ARMS = 256


@dataclass(frozen=True, kw_only=True)
class Published:
    """What a policy is tuned by."""

    policy: Key
    tuning: tuning.Tuning


class Tunings:
    """Belongs to the hub. The tunings are the holder's of the Lease; each replica passes them on to its sidecars."""

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions
        self._published: dict[str, Published] = {}
        self._sent: dict[str, tuning.Tuning] = {}
        self._listeners: list[Callable[[Counted], None]] = []
        self.by_uid: Mapping[str, tuning.Tuning] = MappingProxyType(self._sent)
        """What each policy is tuned by, by its UID; for looking at."""
        self.revision = 0
        """How often anything was published."""

    def all(self) -> Iterable[Published]:
        """All of them."""
        return self._published.values()

    def subscribe(self, listener: Callable[[Counted], None]) -> None:
        """Call `listener` with all that was counted; it must be quick."""
        self._listeners.append(listener)

    def take(self, session: Session, tally: tuning.Tally) -> None:
        """A sidecar says what it has counted; of a policy that is not its own, it is not believed."""
        policy = session.policy
        if policy is None or policy.uid != tally.policy_uid or not is_sound(tally):
            return
        session.counted = Counted.of(policy.key, tally)
        self.hear(session.counted)

    def hear(self, counted: Counted) -> None:
        """A sidecar of this replica or of another one has counted this."""
        for listener in self._listeners:
            listener(counted)

    def publish(self, tunings: Iterable[Published]) -> None:
        """Send these to the sidecars that they concern, those that come later too."""
        for each in tunings:
            uid = each.tuning.policy_uid
            self._published[uid] = each
            self._sent[uid] = each.tuning
            self.revision += 1
            for session in self._sessions.within(each.policy.namespace):
                session.wake.set()

    def forget(self, uids: Iterable[str]) -> None:
        """These policies are gone."""
        for uid in uids:
            self._published.pop(uid, None)
            self._sent.pop(uid, None)


def is_sound(tally: tuning.Tally) -> bool:
    """Whether a tally is no larger than one of ours."""
    return (
        0 < len(tally.process) <= LONGEST_NAME
        and len(tally.complexity.bins) <= MOST_BINS
        and len(tally.labels) <= MOST_MODELS
        and all(_is_sound(labels) for labels in tally.labels)
        and len(tally.arms) <= MOST_ARMS
        and all(_is_sound_arm(arm) for arm in tally.arms)
    )


def _is_sound(labels: tuning.LabelTally) -> bool:
    bins = max(len(labels.right), len(labels.wrong))
    return 0 < len(labels.model) <= LONGEST_NAME and bins <= MOST_LABEL_BINS


def _is_sound_arm(arm: tuning.ArmTally) -> bool:
    named = 0 < len(arm.split) <= LONGEST_NAME and 0 < len(arm.model) <= LONGEST_NAME
    return named and len(arm.latency) <= MOST_BINS and len(arm.confidence) <= MOST_BINS
