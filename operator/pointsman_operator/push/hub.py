"""Keeps the verdicts, the sessions and their targets up to date, touching only what a change may affect. No I/O."""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace

import structlog

from pointsman_api.v1 import control_pb2 as control
from pointsman_api.v1 import snapshot_pb2 as snapshot
from pointsman_operator.compile import grant_access
from pointsman_operator.push.identity import Peer
from pointsman_operator.push.metrics import HubMetrics
from pointsman_operator.push.session import LONGEST_REASON, Session
from pointsman_operator.push.targets import Decision, Program, Target, Withhold, decide
from pointsman_operator.push.verdicts import Verdict, judge, names_any, touched_policies
from pointsman_operator.resources import Key, Kind, ModelProvider, ModelRoutingPolicy, Pod, Unreadable
from pointsman_operator.world import Differences, World, differences

log = structlog.get_logger(__name__)


@dataclass(frozen=True, kw_only=True)
class News:
    """Whose status may have to be written anew."""

    namespaces: frozenset[str]  # of the policies
    providers: frozenset[str]


class Hub:
    """Belongs to one event loop: nothing here may be called from another thread."""

    def __init__(self, *, secrets_namespace: str, metrics: HubMetrics) -> None:
        self.ready = asyncio.Event()
        self._secrets_namespace = secrets_namespace
        self._metrics = metrics
        self._world = World()
        self._verdicts: Mapping[Key, Verdict] = {}
        self._in_namespace: dict[str, tuple[Verdict, ...]] = {}
        self._sessions: dict[Key, Session] = {}
        self._listeners: list[Callable[[News], None]] = []
        self._trust = b""
        self._doubted: set[Session] = set()
        self.doubts = asyncio.Event()
        """Set while there are sessions for `take_doubted`."""

    @property
    def world(self) -> World:
        """The world that everything here was made of."""
        return self._world

    def verdicts(self) -> Mapping[Key, Verdict]:
        """The verdict on each policy."""
        return self._verdicts

    def verdicts_in(self, namespace: str) -> tuple[Verdict, ...]:
        """The verdicts on a namespace's policies."""
        return self._in_namespace.get(namespace, ())

    def sidecars(self) -> tuple[Session, ...]:
        """The connected sidecars, for looking at."""
        return tuple(self._sessions.values())

    def sidecars_in(self, namespace: str) -> tuple[Session, ...]:
        """The connected sidecars of a namespace, for looking at."""
        return tuple(session for session in self._sessions.values() if session.peer.namespace == namespace)

    def subscribe(self, listener: Callable[[News], None]) -> None:
        """Call `listener` after each change; it must be quick, and look at the hub later."""
        self._listeners.append(listener)

    def update(self, world: World) -> None:
        """The world is this now. Nothing follows from one that is not ready."""
        if not world.ready or world is self._world:
            return
        difference = differences(self._world, world)
        self._world = world
        touched = touched_policies(difference, world.policies)
        self._verdicts, failures = judge(self._verdicts, world=world, touched=touched)
        self._metrics.compile_failures.inc(failures)
        namespaces = {key.namespace for key in touched}
        self._index(namespaces)
        providers = {key.name for key in difference.providers} | self._keyed_by(difference)
        namespaces |= {key.name for key in difference.namespaces}
        namespaces |= {key.namespace for key, policy in world.policies.items() if names_any(policy, providers)}
        for key in difference.pods & self._sessions.keys():
            self._look_for_pod(self._sessions[key])
        for session in self._sessions.values():
            if session.peer.namespace in namespaces or providers & self._concerning(session):
                self._aim(session)
                namespaces.add(session.peer.namespace)
        self.ready.set()
        self._tell(
            namespaces=namespaces | {key.namespace for key in difference.policy_objects | difference.pods},
            providers=providers | {key.name for key in difference.provider_objects},
        )

    def trust(self, ca_bundle: bytes) -> None:
        """Have all sidecars trust these authorities, those that come later too."""
        self._trust = ca_bundle
        for session in self._sessions.values():
            session.trust(ca_bundle)

    def take_doubted(self, *, all_unseen: bool = False) -> tuple[Session, ...]:
        """The sessions whose pods were last seen to go, or of all whose pods are not seen; each is handed out once.

        A pod that is not seen may be there all the same: only those with our label are watched.
        """
        doubted = self._doubted
        self._doubted = set()
        self.doubts.clear()
        if all_unseen:
            doubted |= {session for session in self._sessions.values() if session.peer.uid and not self._seen(session)}
        return tuple(each for each in doubted if self._sessions.get(Key(each.peer.namespace, each.peer.pod)) is each)

    def doubt(self, session: Session) -> None:
        """Have somebody look whether the session's pod is still there."""
        self._doubted.add(session)
        self.doubts.set()

    def identified(self, session: Session, peer: Peer) -> None:
        """What is known of a session's pod is this now; it is the same pod."""
        relabelled = session.peer.labels != peer.labels
        session.peer = peer
        session.wake.set()
        if relabelled:
            self._aim(session)
            self._tell(namespaces={peer.namespace})

    def is_behind(self, known: Iterable[snapshot.ObjectVersion]) -> bool:
        """Whether a sidecar knows an object, or a generation of one, that this world has not seen."""
        return any(not self._knows(version) for version in known)

    def connect(self, *, peer: Peer, hello: control.Hello) -> Session:
        """A sidecar is there. It takes the place of an earlier stream of the same pod, whose end went unnoticed."""
        key = Key(peer.namespace, peer.pod)
        if earlier := self._sessions.get(key):
            earlier.replaced = True
            earlier.wake.set()
        session = Session(peer=peer, hello=hello)
        session.trust(self._trust)
        self._sessions[key] = session
        self._metrics.sidecars.set(len(self._sessions))
        self._aim(session)
        self._tell(namespaces={peer.namespace})
        return session

    def disconnect(self, session: Session) -> None:
        """A sidecar has gone."""
        key = Key(session.peer.namespace, session.peer.pod)
        if self._sessions.get(key) is session:
            del self._sessions[key]
            self._metrics.sidecars.set(len(self._sessions))
            self._tell(namespaces={session.peer.namespace})

    def next_update(self, session: Session) -> control.ConnectResponse | None:
        """What to send to a sidecar now, if anything; whoever asks must send it."""
        update = session.next_update()
        if update is not None:
            self._metrics.pushes.labels(kind=update.WhichOneof("message")).inc()
            if session.awaits_answer:
                self._tell(namespaces={session.peer.namespace})
        return update

    def answer(self, session: Session, answer: control.Ack | control.Nack) -> None:
        """A sidecar answered an update."""
        bound = log.bind(namespace=session.peer.namespace, pod=session.peer.pod)
        if isinstance(answer, control.Ack):
            taken, verdict = session.acknowledge(answer.nonce), "ack"
        else:
            taken, verdict = session.reject(answer.nonce, answer.reason), "nack"
            if taken:
                bound.warning("update rejected", reason=answer.reason[:LONGEST_REASON])
        if not taken:
            bound.debug("late answer ignored")
            return
        self._metrics.answers.labels(verdict=verdict).inc()
        # What it has in force decides which providers it must be able to call.
        self._aim(session)
        self._tell(namespaces={session.peer.namespace})

    def _seen(self, session: Session) -> Pod | None:
        pod = self._world.pods.get(Key(session.peer.namespace, session.peer.pod))
        return pod if pod is not None and pod.metadata.uid == session.peer.uid else None

    def _look_for_pod(self, session: Session) -> None:
        if not session.peer.uid:
            return
        if (pod := self._seen(session)) is None:
            self.doubt(session)
        else:
            self.identified(session, replace(session.peer, labels=pod.metadata.labels))

    def _aim(self, session: Session) -> None:
        namespace = session.peer.namespace
        verdicts = self.verdicts_in(namespace)
        decision = decide(verdicts, namespace=namespace, pod_labels=session.peer.labels, held_uid=session.held_uid)
        access = grant_access(
            self._wanted(session, decision, verdicts),
            providers=self._world.providers,
            namespace=namespace,
            namespace_labels=self._world.namespace_labels(namespace),
            secrets=self._world.secrets,
            secrets_namespace=self._secrets_namespace,
        )
        session.aim(Target(decision=decision, access=access))

    @staticmethod
    def _wanted(session: Session, decision: Decision, verdicts: Iterable[Verdict]) -> frozenset[str]:
        """The providers that the sidecar needs, while an update is on its way and after."""
        if isinstance(decision.action, Withhold):
            return frozenset()
        wanted = frozenset[str]()
        # A snapshot whose policy is gone opens nothing, whatever the sidecar says it was made of.
        if session.held_uid in {verdict.claim.uid for verdict in verdicts}:
            wanted |= session.providers_in_use()
        if isinstance(decision.action, Program):
            wanted |= decision.action.compiled.provider_names
        return wanted

    def _concerning(self, session: Session) -> frozenset[str]:
        """The providers whose change may change what the sidecar is to be told."""
        names = session.providers_in_use()
        if session.target is not None and isinstance(session.target.decision.action, Program):
            names |= session.target.decision.action.compiled.provider_names
        return names

    def _keyed_by(self, difference: Differences) -> set[str]:
        """The providers that refer to Secrets that changed."""
        secrets = {key.name for key in difference.secrets}
        if not secrets:
            return set()
        return {
            key.name
            for key, provider in self._world.providers.items()
            if isinstance(provider, ModelProvider)
            and any(auth.secret_key_ref.name in secrets for auth in provider.spec.auth)
        }

    def _index(self, namespaces: set[str]) -> None:
        fresh: dict[str, list[Verdict]] = {namespace: [] for namespace in namespaces}
        for key, verdict in self._verdicts.items():
            if key.namespace in fresh:
                fresh[key.namespace].append(verdict)
        for namespace, verdicts in fresh.items():
            if verdicts:
                self._in_namespace[namespace] = tuple(verdicts)
            else:
                self._in_namespace.pop(namespace, None)
        compiles = sum(verdict.compiled is not None for verdict in self._verdicts.values())
        self._metrics.policies.labels(compiles="true").set(compiles)
        self._metrics.policies.labels(compiles="false").set(len(self._verdicts) - compiles)

    def _knows(self, version: snapshot.ObjectVersion) -> bool:
        known: ModelRoutingPolicy | ModelProvider | Unreadable | None
        if version.kind == Kind.POLICY:
            known = self._world.policies.get(Key(version.namespace, version.name))
        elif version.kind == Kind.PROVIDER:
            known = self._world.providers.get(Key("", version.name))
        else:  # no kind that a snapshot of this contract is made of
            return True
        if known is None or known.metadata.uid != version.uid:
            return False
        return known.metadata.generation >= version.generation

    def _tell(self, *, namespaces: Iterable[str], providers: Iterable[str] = ()) -> None:
        news = News(namespaces=frozenset(namespaces), providers=frozenset(providers))
        for listener in self._listeners:
            listener(news)
