"""What a replica says of its sidecars, in messages that stay small: pure."""

from collections.abc import Iterable, Iterator

from pointsman_api.v1 import replicas_pb2 as pb
from pointsman_operator.push import Counted, Published, Rejection, SidecarFacts
from pointsman_operator.resources import Key

# Each with a reason of a thousand characters still makes a message well under the server's limit.
MOST_PER_MESSAGE = 100


class Outbox:
    """What was said on a stream, so that only what differs is said again."""

    def __init__(self) -> None:
        self._said: dict[str, dict[Key, SidecarFacts]] = {}

    def changes(self, namespace: str, sidecars: Iterable[SidecarFacts]) -> Iterator[pb.ReportRequest]:
        """The messages that make what was said of a namespace true again; whoever asks must send them."""
        now = {facts.pod: facts for facts in sidecars}
        before = self._said.pop(namespace, {})
        if now:
            self._said[namespace] = now
        news = [state_of(facts) for pod, facts in now.items() if before.get(pod) != facts]
        gone = [_pod_name(pod) for pod in before.keys() - now.keys()]
        for start in range(0, len(news), MOST_PER_MESSAGE):
            yield pb.ReportRequest(sidecars=news[start : start + MOST_PER_MESSAGE])
        for start in range(0, len(gone), MOST_PER_MESSAGE):
            yield pb.ReportRequest(gone=gone[start : start + MOST_PER_MESSAGE])


class CountsOutbox:
    """What was said of counts on a stream, so that only what is new is said again."""

    def __init__(self) -> None:
        self._said: dict[str, Counted] = {}

    def changes(self, counted: Iterable[Counted | None]) -> Iterator[pb.ReportRequest]:
        """The messages with what sidecars count now and was not said; whoever asks must send them."""
        now = {each.process: each for each in counted if each is not None}
        before, self._said = self._said, now
        news = [_policy_tally(each) for process, each in now.items() if before.get(process) is not each]
        for start in range(0, len(news), MOST_PER_MESSAGE):
            yield pb.ReportRequest(tallies=news[start : start + MOST_PER_MESSAGE])


def state_of(facts: SidecarFacts) -> pb.SidecarState:
    """Facts as they are sent."""
    return pb.SidecarState(
        pod=_pod_name(facts.pod),
        policy=facts.policy,
        losers=facts.losers,
        held_version=facts.held_version,
        rejected_version=facts.rejection.version if facts.rejection else "",
        rejection=facts.rejection.reason if facts.rejection else "",
    )


def read_state(state: pb.SidecarState) -> SidecarFacts:
    """Facts as they were sent."""
    rejected = state.rejected_version
    return SidecarFacts(
        pod=read_pod(state.pod),
        policy=state.policy,
        losers=tuple(state.losers),
        held_version=state.held_version,
        rejection=Rejection(version=rejected, reason=state.rejection) if rejected else None,
    )


def read_counted(said: pb.PolicyTally) -> Counted:
    """What was counted, as it was sent."""
    return Counted.of(Key(said.namespace, said.policy), said.tally)


def published(tunings: Iterable[Published]) -> Iterator[list[pb.PolicyTuning]]:
    """What policies are tuned by, in parts of which each fits a message."""
    said = [
        pb.PolicyTuning(namespace=each.policy.namespace, policy=each.policy.name, tuning=each.tuning)
        for each in tunings
    ]
    for start in range(0, len(said), MOST_PER_MESSAGE):
        yield said[start : start + MOST_PER_MESSAGE]


def read_published(said: pb.PolicyTuning) -> Published:
    """What a policy is tuned by, as it was sent."""
    return Published(policy=Key(said.namespace, said.policy), tuning=said.tuning)


def read_pod(name: pb.PodName) -> Key:
    """A pod's key as it was sent."""
    return Key(name.namespace, name.name)


def _policy_tally(counted: Counted) -> pb.PolicyTally:
    return pb.PolicyTally(namespace=counted.policy.namespace, policy=counted.policy.name, tally=counted.tally)


def _pod_name(pod: Key) -> pb.PodName:
    return pb.PodName(namespace=pod.namespace, name=pod.name)
