"""One connected sidecar: what it has, what it was sent, what it answered. No I/O."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from itertools import count
from types import MappingProxyType
from typing import Any, Self

from pointsman_api.v1 import control_pb2 as control
from pointsman_api.v1 import tuning_pb2 as tuning
from pointsman_operator.compile import Claim, Compiled
from pointsman_operator.push.identity import Peer
from pointsman_operator.push.targets import Program, Target, Withhold
from pointsman_operator.resources import Key, Kind

CONTRACT_VERSION = 1
# As long as a policy's status takes it.
LONGEST_REASON = 1024


@dataclass(frozen=True, kw_only=True)
class Held:
    """The snapshot that a sidecar has in force, as far as the operator needs to know."""

    version: str
    policy_uid: str
    provider_names: frozenset[str]


@dataclass(frozen=True, kw_only=True)
class Rejection:
    """A snapshot that a sidecar would not put in force."""

    version: str
    reason: str


@dataclass(frozen=True, kw_only=True)
class Counted:
    """What a sidecar has counted of its policy's requests: the message as bytes, which take a tenth of the room."""

    policy: Key
    process: str
    content: bytes

    @classmethod
    def of(cls, policy: Key, tally: tuning.Tally) -> Self:
        """A sidecar of this policy says this."""
        return cls(policy=policy, process=tally.process, content=tally.SerializeToString())

    @property
    def tally(self) -> tuning.Tally:
        """The message, read anew."""
        return tuning.Tally.FromString(self.content)


@dataclass(frozen=True, kw_only=True)
class _Sent:
    """An update that waits for its answer: a snapshot, or the news that there is none."""

    nonce: str
    compiled: Compiled | None


class Session:
    """The operator's side of one stream.

    At most one update waits for its answer. Meanwhile the target may change as often as it will: only the latest counts
    when the answer is there, so that nothing queues up for a slow sidecar. `tunings` has what each policy is tuned by,
    by its UID, and is asked again each time.
    """

    def __init__(
        self, *, peer: Peer, hello: control.Hello, tunings: Mapping[str, tuning.Tuning] = MappingProxyType({})
    ) -> None:
        self.peer = peer
        self.held = _held(hello)
        self.rejection: Rejection | None = None
        # Set whenever there may be something to send; cleared by whoever looks.
        self.wake = asyncio.Event()
        self.replaced = False
        # A sentence why this sidecar is no longer who it was; its stream ends with it.
        self.refused = ""
        # A sentence why it is better off with another replica; its stream ends with it, too.
        self.dismissed = ""
        self.noted: tuple[object, object, object, Any] | None = None
        """What `facts_of` made of this session last, after what it made it of."""
        self.counted: Counted | None = None
        """What it has counted, as it said last."""
        self._target: Target | None = None
        self._tunings = tunings
        self._sent_tuning: tuning.Tuning | None = None
        self._sent: _Sent | None = None
        self._sent_access: control.AccessUpdate | None = None
        self._told_why_none: str | None = None
        self._trust = self._sent_trust = b""
        self._nonces = count(1)

    @property
    def target(self) -> Target | None:
        """What the sidecar should have been told; None only before the hub has decided."""
        return self._target

    @property
    def policy(self) -> Claim | None:
        """The policy that is for it, if any."""
        return None if self._target is None else self._target.decision.winner

    @property
    def held_uid(self) -> str:
        """The policy whose snapshot it has in force; empty where it has none."""
        return "" if self.held is None else self.held.policy_uid

    @property
    def awaits_answer(self) -> bool:
        """Whether an update was sent and not answered yet."""
        return self._sent is not None

    def providers_in_use(self) -> frozenset[str]:
        """The providers of the snapshot that it has, and of the one that it may just be putting in force."""
        names = frozenset[str]() if self.held is None else self.held.provider_names
        if self._sent is not None and self._sent.compiled is not None:
            names |= self._sent.compiled.provider_names
        return names

    def aim(self, target: Target) -> None:
        """Set what the sidecar should be told."""
        self._target = target
        self.wake.set()

    def trust(self, ca_bundle: bytes) -> None:
        """Set which authorities the sidecar should trust; empty where it has no need to."""
        self._trust = ca_bundle
        self.wake.set()

    def refuse(self, reason: str) -> None:
        """End the stream: the pod is not, or no longer, what it was taken for."""
        self.refused = reason
        self.wake.set()

    def dismiss(self, reason: str) -> None:
        """End the stream, so that the sidecar comes to another replica."""
        self.dismissed = reason
        self.wake.set()

    def next_update(self) -> control.ConnectResponse | None:
        """What to send now, if anything; whoever asks must send it."""
        if self._target is None:
            return None
        # Before the snapshot that needs it, so that its first request finds the providers open.
        if (update := self._unanswered(self._target)) is not None or self._sent is not None:
            return update
        match self._target.decision.action:
            case Program(compiled=compiled):
                return self._snapshot(compiled)
            case Withhold(reason=reason):
                return self._no_policy(reason)
        return None

    def _unanswered(self, target: Target) -> control.ConnectResponse | None:
        """What is sent whether or not an answer is waited for."""
        if self._trust != self._sent_trust:
            self._sent_trust = self._trust
            return control.ConnectResponse(trust=control.TrustUpdate(ca_bundle=self._trust))
        # Before the keys: who can call knows where splits stand.
        tuned = None if self.policy is None else self._tunings.get(self.policy.uid)
        if tuned is not None and tuned is not self._sent_tuning:
            self._sent_tuning = tuned
            return control.ConnectResponse(tuning=control.TuningUpdate(tuning=tuned))
        if target.access.update != self._sent_access:
            self._sent_access = target.access.update
            return control.ConnectResponse(access=self._sent_access)
        return None

    def acknowledge(self, nonce: str) -> bool:
        """Take an ACK; false where it answers nothing that is waited for."""
        sent = self._answered(nonce)
        if sent is None:
            return False
        self.rejection = None
        if sent.compiled is None:
            self.held = None
        else:
            self.held = Held(
                version=sent.compiled.version,
                policy_uid=sent.compiled.policy_uid,
                provider_names=sent.compiled.provider_names,
            )
        return True

    def reject(self, nonce: str, reason: str) -> bool:
        """Take a NACK; false where it answers nothing that is waited for."""
        sent = self._answered(nonce)
        if sent is None:
            return False
        if sent.compiled is not None:
            self.rejection = Rejection(version=sent.compiled.version, reason=reason[:LONGEST_REASON])
        return True

    def _answered(self, nonce: str) -> _Sent | None:
        sent = self._sent
        if sent is None or sent.nonce != nonce:
            return None
        self._sent = None
        self.wake.set()
        return sent

    def _snapshot(self, compiled: Compiled) -> control.ConnectResponse | None:
        if self.held is not None and self.held.version == compiled.version:
            self.rejection = None
            return None
        if self.rejection is not None and self.rejection.version == compiled.version:
            return None
        self._told_why_none = None
        update = _update(compiled)
        self._sent = _Sent(nonce=update.snapshot.nonce, compiled=compiled)
        return update

    def _no_policy(self, reason: str) -> control.ConnectResponse | None:
        if self._told_why_none == reason:
            return None
        self._told_why_none = reason
        self._sent = _Sent(nonce=str(next(self._nonces)), compiled=None)
        return control.ConnectResponse(no_policy=control.NoPolicy(nonce=self._sent.nonce, reason=reason))


@lru_cache(maxsize=64)
def _update(compiled: Compiled) -> control.ConnectResponse:
    """The same for each sidecar, so that it is made once and not thousands of times.

    The nonce is no other for each either: until an update is answered there is no next one to tell it from.
    """
    return control.ConnectResponse(
        snapshot=control.SnapshotUpdate(
            contract_version=CONTRACT_VERSION,
            version=compiled.version,
            generation=compiled.generation,
            nonce=compiled.version,
            snapshot=compiled.snapshot,
        )
    )


def _held(hello: control.Hello) -> Held | None:
    """What a sidecar says it has. A snapshot without its policy among what is known would be no snapshot of ours."""
    policies = [known.uid for known in hello.known if known.kind == Kind.POLICY]
    if not hello.snapshot_version or not policies:
        return None
    return Held(
        version=hello.snapshot_version,
        policy_uid=policies[0],
        provider_names=frozenset(known.name for known in hello.known if known.kind == Kind.PROVIDER),
    )
