"""Keeps the verdicts, the sessions and their targets up to date, touching only what a change may affect. No I/O."""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace

import structlog

from pointsman_api.v1 import control_pb2 as control
from pointsman_api.v1 import snapshot_pb2 as snapshot
from pointsman_operator.push.aims import Aims
from pointsman_operator.push.identity import Peer
from pointsman_operator.push.index import Index
from pointsman_operator.push.metrics import HubMetrics
from pointsman_operator.push.quotas import Quotas
from pointsman_operator.push.session import LONGEST_REASON, Session
from pointsman_operator.push.sessions import Sessions, pod_of
from pointsman_operator.push.tunings import Tunings
from pointsman_operator.push.verdicts import Verdict, Verdicts
from pointsman_operator.resources import Key, Kind, ModelProvider, ModelRoutingPolicy, Pod, TokenQuota, Unreadable
from pointsman_operator.world import Differences, World, differences

log = structlog.get_logger(__name__)


@dataclass(frozen=True, kw_only=True)
class News:
    """Whose status may have to be written anew."""

    namespaces: frozenset[str]  # of the policies
    providers: frozenset[str]
    quotas: frozenset[Key] = frozenset()


class Hub:
    """Belongs to one event loop: nothing here may be called from another thread."""

    def __init__(self, *, secrets_namespace: str, metrics: HubMetrics) -> None:
        self.ready = asyncio.Event()
        self._secrets_namespace = secrets_namespace
        self._metrics = metrics
        self._world = World()
        self._verdicts = Verdicts()
        self._quotas = Quotas()
        self._sessions = Sessions()
        self.tunings = Tunings(self._sessions)
        self._pods: Index[Key] = Index()
        self._aims = self._aims_of(self._world)
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
        return self._verdicts.all

    def verdicts_in(self, namespace: str) -> tuple[Verdict, ...]:
        """The verdicts on a namespace's policies."""
        return self._verdicts.within(namespace)

    def quotas_in(self, namespace: str) -> tuple[TokenQuota | Unreadable, ...]:
        """The quotas of a namespace."""
        return self._quotas.within(namespace)

    def sidecars(self) -> tuple[Session, ...]:
        """The connected sidecars, for looking at."""
        return self._sessions.all()

    def sidecars_in(self, namespace: str) -> tuple[Session, ...]:
        """The connected sidecars of a namespace, for looking at."""
        return self._sessions.within(namespace)

    def pods_in(self, namespace: str) -> tuple[Pod, ...]:
        """The watched pods of a namespace."""
        return tuple(self._world.pods[key] for key in self._pods.find(namespace))

    def subscribe(self, listener: Callable[[News], None]) -> None:
        """Call `listener` after each change; it must be quick, and look at the hub later."""
        self._listeners.append(listener)

    def update(self, world: World) -> None:
        """The world is this now. Nothing follows from one that is not ready."""
        if not world.ready or world is self._world:
            return
        difference = differences(self._world, world)
        self._world = world
        self._aims = self._aims_of(world)
        quotas = self._quotas.touched(difference)
        self._quotas.update(difference, world=world)
        quotas |= self._quotas.touched(difference) | difference.quota_objects
        touched = self._verdicts.touched(difference)
        self._metrics.compile_failures.inc(self._verdicts.update(touched, world=world))
        self._metrics.policies.labels(compiles="true").set(self._verdicts.compiling)
        self._metrics.policies.labels(compiles="false").set(len(self._verdicts.all) - self._verdicts.compiling)
        providers = {key.name for key in difference.providers} | self._keyed_by(difference)
        namespaces = {key.namespace for key in touched | self._verdicts.naming(providers)}
        namespaces |= {key.name for key in difference.namespaces}
        for key in difference.pods:
            if key in world.pods:
                self._pods.add(key.namespace, key)
            else:
                self._pods.discard(key.namespace, key)
            if session := self._sessions.of(key):
                self._look_for_pod(session)
        for session in {*self._sessions.within(*namespaces), *self._sessions.depending(*providers)}:
            self._aim(session)
            namespaces.add(session.peer.namespace)
        self.ready.set()
        self._tell(
            namespaces=namespaces | {key.namespace for key in difference.policy_objects | difference.pods},
            providers=providers | {key.name for key in difference.provider_objects},
            quotas=quotas,
        )

    def trust(self, ca_bundle: bytes) -> None:
        """Have all sidecars trust these authorities, those that come later too."""
        self._trust = ca_bundle
        for session in self._sessions.all():
            session.trust(ca_bundle)

    def take_doubted(self, *, all_unseen: bool = False) -> tuple[Session, ...]:
        """The sessions whose pods were last seen to go, or of all whose pods are not seen; each is handed out once.

        A pod that is not seen may be there all the same: only those with our label are watched.
        """
        doubted = self._doubted
        self._doubted = set()
        self.doubts.clear()
        if all_unseen:
            doubted |= {session for session in self._sessions.all() if session.peer.uid and not self._seen(session)}
        return tuple(each for each in doubted if self._sessions.current(each))

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
        session = Session(peer=peer, hello=hello, tunings=self.tunings.by_uid)
        session.trust(self._trust)
        if earlier := self._sessions.add(session):
            earlier.replaced = True
            earlier.wake.set()
        self._metrics.sidecars.set(len(self._sessions))
        self._aim(session)
        self._tell(namespaces={peer.namespace})
        return session

    def disconnect(self, session: Session) -> None:
        """A sidecar has gone."""
        if self._sessions.remove(session):
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
        where = {"namespace": session.peer.namespace, "pod": session.peer.pod}
        before = session.held_uid, session.providers_in_use()
        if isinstance(answer, control.Ack):
            taken, verdict = session.acknowledge(answer.nonce), "ack"
        else:
            taken, verdict = session.reject(answer.nonce, answer.reason), "nack"
            if taken:
                log.warning("update rejected", **where, reason=answer.reason[:LONGEST_REASON])
        if not taken:
            log.debug("late answer ignored", **where)
            return
        self._metrics.answers.labels(verdict=verdict).inc()
        # What it has in force decides which providers it must be able to call.
        if (session.held_uid, session.providers_in_use()) != before:
            self._aim(session)
        self._tell(namespaces={session.peer.namespace})

    def _seen(self, session: Session) -> Pod | None:
        pod = self._world.pods.get(pod_of(session))
        return pod if pod is not None and pod.metadata.uid == session.peer.uid else None

    def _look_for_pod(self, session: Session) -> None:
        if not session.peer.uid:
            return
        if (pod := self._seen(session)) is None:
            self.doubt(session)
        else:
            self.identified(session, replace(session.peer, labels=pod.metadata.labels, workload=pod.workload))

    def _aims_of(self, world: World) -> Aims:
        return Aims(world, verdicts=self._verdicts, secrets_namespace=self._secrets_namespace)

    def _aim(self, session: Session) -> None:
        session.aim(self._aims.target(session))
        self._sessions.note(session)

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

    def _tell(
        self, *, namespaces: Iterable[str], providers: Iterable[str] = (), quotas: frozenset[Key] = frozenset()
    ) -> None:
        news = News(namespaces=frozenset(namespaces), providers=frozenset(providers), quotas=quotas)
        for listener in self._listeners:
            listener(news)
