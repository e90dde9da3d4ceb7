"""kopf in a thread of its own, with a loop of its own: grpc.aio must have one loop, and must have it to itself.

Only `on.event` handlers: they store nothing in the objects, no finalizer and no annotation, and see every event as the
watch brings it. What kopf does beyond that is switched off here.
"""

import asyncio
import threading
from collections.abc import Callable, Mapping
from typing import Any

import kopf
import structlog

from pointsman_operator.resources import Kind
from pointsman_operator.resources.kinds import GROUP, INJECTED_SELECTOR, PLURALS, VERSION
from pointsman_operator.watch.connection import Connector
from pointsman_operator.watch.kopf_stores import NoDifferences, NoMemories, NoProgress
from pointsman_operator.world import Change

Deliver = Callable[[Kind, Change | None, Mapping[str, Any]], None]

log = structlog.get_logger(__name__)

_LAST_PAUSE_SECONDS = 5.0
_PODS = ("", "v1", "pods")


class KopfThread:
    """Watches policies, providers, quotas, namespaces and, where it is told to, pods with a sidecar; until stopped.

    `deliver` is called in the thread with each object. No change means that the object was listed: kopf begins anew
    with a list where a stream was interrupted too long, and says nothing then of what was deleted meanwhile. `prepare`
    is called in the thread before each start, and returns whether the kinds are there: kopf looks for them only once.
    """

    def __init__(
        self, connector: Connector, *, deliver: Deliver, prepare: Callable[[], bool], pods: bool = False
    ) -> None:
        self._connector = connector
        self._pods = pods
        self._deliver = deliver
        self._prepare = prepare
        self._stopping = threading.Event()
        self._lock = threading.Lock()
        self._end: Callable[[], object] = _nothing
        self._thread = threading.Thread(target=self._run, name="kopf", daemon=True)

    @property
    def alive(self) -> bool:
        """Whether the thread runs."""
        return self._thread.is_alive()

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self) -> None:
        """Ask it to end."""
        self._stopping.set()
        with self._lock:
            self._end()

    def join(self, seconds: float) -> None:
        """Wait for its end, if it was started."""
        if self._thread.is_alive():
            self._thread.join(seconds)

    def _run(self) -> None:
        pause = 0.0
        while not self._stopping.wait(pause):
            if not self._prepare():
                pause = min(pause * 2 or 0.5, _LAST_PAUSE_SECONDS)
                continue
            pause = 0.5
            try:
                asyncio.run(self._watch())
            except Exception as error:  # noqa: BLE001 - whatever ended it, the cluster must be watched again
                log.warning("kopf ended and is started again", error=f"{type(error).__name__}: {error}")

    async def _watch(self) -> None:
        loop = asyncio.get_running_loop()
        # What kopf leaves behind when it is brought down, such as tasks whose failure nobody asks for. The failure that
        # matters is raised below.
        loop.set_exception_handler(lambda _, context: log.debug("left by kopf", message=context["message"]))
        stop = asyncio.Event()
        with self._lock:
            self._end = lambda: loop.call_soon_threadsafe(stop.set)
        try:
            if self._stopping.is_set():
                return
            tasks = await kopf.spawn_tasks(
                registry=_registry(self._connector, self._deliver, pods=self._pods),
                settings=_settings(),
                memories=NoMemories(),
                standalone=True,
                clusterwide=True,
            )
            # They run for ever: whichever ends has failed, and kopf with it. The end of this loop cancels the others;
            # `kopf.run_tasks` would wait for them for seconds, during which nothing is watched.
            ended, _ = await asyncio.wait({*tasks, loop.create_task(stop.wait())}, return_when=asyncio.FIRST_COMPLETED)
            for task in ended:
                task.result()
        finally:
            with self._lock:
                self._end = _nothing


def _nothing() -> None:
    """End nothing: kopf does not run."""


def _registry(connector: Connector, deliver: Deliver, *, pods: bool) -> kopf.OperatorRegistry:
    registry = kopf.OperatorRegistry()

    @kopf.on.login(registry=registry, id="login")
    async def login(**_: Any) -> kopf.ConnectionInfo:
        return await connector.kopf_connection()

    def watch(kind: Kind, *resource: str) -> None:
        @kopf.on.event(*resource, registry=registry, id=kind.value)
        async def event(event: Mapping[str, Any], **_: Any) -> None:
            match event["type"]:
                case None:
                    deliver(kind, None, event["object"])
                case "DELETED":
                    deliver(kind, Change.DELETED, event["object"])
                case _:
                    deliver(kind, Change.WRITTEN, event["object"])

    for kind, plural in PLURALS.items():
        watch(kind, GROUP, VERSION, plural)
    watch(Kind.NAMESPACE, "", "v1", "namespaces")
    if pods:
        watch(Kind.POD, *_PODS)
    return registry


def _settings() -> kopf.OperatorSettings:
    settings = kopf.OperatorSettings()
    settings.posting.enabled = False
    # Would watch CRDs, for which we ask no permission.
    settings.scanning.disabled = True
    # kopf takes its finalizer off objects that it has no use for it on. With kopf's own name it would take that of
    # other operators off the namespaces.
    settings.persistence.finalizer = "pointsman.dev/unused"
    settings.persistence.diffbase_storage = NoDifferences()
    settings.persistence.progress_storage = NoProgress()
    # Would kill this process some minutes after kopf ended for any reason but being asked to.
    settings.process.ultimate_exiting_timeout = None
    # An API server that restarts is back within seconds, and so should we be.
    settings.networking.error_backoffs = [0.1, 0.2, 0.5, 1, 1, 1, 1, 1]
    settings.networking.request_timeout = 30
    settings.watching.server_timeout = 240
    # Each object's worker keeps the body that it saw last for as long as it waits for the next one.
    settings.queueing.idle_timeout = 0.1
    settings.watching.chunk_size = 100
    settings.watching.label_selectors[_PODS] = INJECTED_SELECTOR
    return settings
