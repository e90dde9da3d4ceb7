"""The connected sidecars, found by pod, by namespace, and by the providers that they depend on."""

from pointsman_operator.push.index import Index
from pointsman_operator.push.session import Session
from pointsman_operator.push.targets import Program
from pointsman_operator.resources import Key


class Sessions:
    """At most one for each pod."""

    def __init__(self) -> None:
        self._by_pod: dict[Key, Session] = {}
        self._in_namespace: Index[Session] = Index()
        self._depending: Index[Session] = Index()
        self._depends_on: dict[Session, frozenset[str]] = {}

    def __len__(self) -> int:
        return len(self._by_pod)

    def all(self) -> tuple[Session, ...]:
        """All of them."""
        return tuple(self._by_pod.values())

    def of(self, pod: Key) -> Session | None:
        """The one of a pod, if it is connected."""
        return self._by_pod.get(pod)

    def current(self, session: Session) -> bool:
        """Whether this session is its pod's, and no other took its place."""
        return self._by_pod.get(pod_of(session)) is session

    def within(self, *namespaces: str) -> tuple[Session, ...]:
        """Those of these namespaces."""
        return self._in_namespace.find(*namespaces)

    def depending(self, *providers: str) -> tuple[Session, ...]:
        """Those that a change of any of these providers concerns."""
        return self._depending.find(*providers)

    def add(self, session: Session) -> Session | None:
        """Take one in; return the one whose place it takes, if any."""
        earlier = self._by_pod.get(pod_of(session))
        if earlier is not None:
            self._forget(earlier)
        self._by_pod[pod_of(session)] = session
        self._in_namespace.add(session.peer.namespace, session)
        return earlier

    def remove(self, session: Session) -> bool:
        """Let one go; false where another took its place before."""
        if not self.current(session):
            return False
        del self._by_pod[pod_of(session)]
        self._forget(session)
        return True

    def note(self, session: Session) -> None:
        """A session was given a target: which providers it depends on may have changed."""
        if not self.current(session):
            return
        names = _providers(session)
        if (known := self._depends_on.get(session, frozenset())) != names:
            self._depending.rename(session, before=known, after=names)
            self._depends_on[session] = names

    def _forget(self, session: Session) -> None:
        self._in_namespace.discard(session.peer.namespace, session)
        self._depending.rename(session, before=self._depends_on.pop(session, frozenset()), after=())


def pod_of(session: Session) -> Key:
    """The pod that a session is of."""
    return Key(session.peer.namespace, session.peer.pod)


def _providers(session: Session) -> frozenset[str]:
    names = session.providers_in_use()
    if session.target is not None and isinstance(session.target.decision.action, Program):
        names |= session.target.decision.action.compiled.provider_names
    return names
