"""What a replica says of its sidecars, in messages that stay small: pure."""

from collections.abc import Iterable, Iterator

from pointsman_api.v1 import replicas_pb2 as pb
from pointsman_operator.push import Rejection, SidecarFacts
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


def read_pod(name: pb.PodName) -> Key:
    """A pod's key as it was sent."""
    return Key(name.namespace, name.name)


def _pod_name(pod: Key) -> pb.PodName:
    return pb.PodName(namespace=pod.namespace, name=pod.name)
