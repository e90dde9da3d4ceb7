"""The real processes that tests put around a cluster: operator, sidecar, stub provider, and an OTLP receiver."""

import json
import socket
import sys
import threading
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from concurrent import futures
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2, trace_service_pb2_grpc
from opentelemetry.proto.trace.v1 import trace_pb2

from cluster.harness.cluster import Cluster
from cluster.harness.processes import Process, wait_until
from pointsman_api.v1 import completions_pb2, completions_pb2_grpc

STARTS_WITHIN = 30.0
READS_WITHIN = 10.0


@dataclass(kw_only=True)
class Planes:
    """Starts processes, with their logs in one folder, and stops them all."""

    cluster: Cluster
    folder: Path
    system: str
    """The operator's own namespace, where Secrets are."""
    operator_address: str
    _running: list[Process] = field(default_factory=list)
    _started: int = 0

    def operator(self) -> Process:
        """An operator that watches the cluster; each has the same address, so that one follows another."""
        return self._start(
            "operator",
            "pointsman_operator",
            *("--kubeconfig", str(self.cluster.kubeconfig), "--namespace", self.system),
            *("--listen", self.operator_address, "--metrics-listen", "127.0.0.1:0", "--insecure-claimed-identity"),
            until="ready",
        )

    def sidecar(
        self,
        *,
        namespace: str,
        pod: str = "app-0",
        labels: Mapping[str, str] | None = None,
        environment: Mapping[str, str] | None = None,
        state: Path | None = None,
    ) -> "Sidecar":
        """A sidecar of a pod."""
        process = self._start(
            f"sidecar-{pod}",
            "pointsman_sidecar",
            *("--operator", self.operator_address, "--namespace", namespace, "--pod", pod),
            *("--labels", ",".join(f"{key}={value}" for key, value in (labels or {}).items())),
            *("--listen", "127.0.0.1:0", "--http-listen", "127.0.0.1:0", "--status-listen", "127.0.0.1:0"),
            *(("--state-dir", str(state)) if state else ()),
            until="ready",
            environment=environment,
        )
        return Sidecar(process=process, address=str(said(process, "ready")["listen"]))

    def stub(self, *arguments: str) -> "Stub":
        """A stub provider."""
        process = self._start("stub", "pointsman_stub", "--port", "0", *arguments, until="listening on")
        line = next(line for line in process.log.read_text().splitlines() if "listening on" in line)
        return Stub(process=process, base_url=line.split()[-1])

    def stop(self) -> None:
        """Stop what still runs, the latest first."""
        for process in reversed(self._running):
            process.stop(grace=5)

    def _start(
        self, name: str, module: str, *arguments: str, until: str, environment: Mapping[str, str] | None = None
    ) -> Process:
        self._started += 1
        log = self.folder / f"{self._started:02}-{name}.log"
        process = Process(
            name,
            [sys.executable, "-m", module, *arguments],
            log=log,
            env={"PATH": "/usr/bin:/bin", "HOME": str(self.folder), **(environment or {})},
        )
        self._running.append(process)
        wanted = f'"event": "{until}"' if module != "pointsman_stub" else until
        process.wait_until_ready(lambda: wanted in log.read_text(), seconds=STARTS_WITHIN)
        return process


@dataclass(frozen=True, kw_only=True)
class Sidecar:
    """A running sidecar, as the app beside it sees it."""

    process: Process
    address: str

    def complete(self, text: str = "Hello!", *, traceparent: str = "", stream: bool = False) -> Any:
        """Ask for a completion, and return the decision that came with the answer."""
        request = completions_pb2.CompleteRequest(
            messages=[
                completions_pb2.Message(
                    role=completions_pb2.ROLE_USER, content=[completions_pb2.ContentPart(text=text)]
                )
            ]
        )
        metadata = (("traceparent", traceparent),) if traceparent else ()
        with grpc.insecure_channel(self.address) as channel:
            door = completions_pb2_grpc.CompletionsStub(channel)
            if not stream:
                return door.Complete(request, metadata=metadata, timeout=READS_WITHIN).decision
            events = list(door.CompleteStream(request, metadata=metadata, timeout=READS_WITHIN))
            return events[-1].finished

    def answer(self) -> str:
        """The model that answers now, or the name of the status that the app gets."""
        try:
            return str(self.complete().model)
        except grpc.RpcError as error:
            return str(error.code().name)  # type: ignore[attr-defined] # a call's error, which the stubs do not know

    def error(self) -> str:
        """The sentence of the error that the app gets now; empty where it gets an answer."""
        try:
            self.complete()
        except grpc.RpcError as error:
            return str(error.details())  # type: ignore[attr-defined] # as above
        return ""


@dataclass(frozen=True, kw_only=True)
class Stub:
    """A running stub provider."""

    process: Process
    base_url: str

    def requests(self) -> list[dict[str, Any]]:
        """What it was sent."""
        with urllib.request.urlopen(f"{self.base_url.removesuffix('/v1')}/stub/requests") as response:  # noqa: S310 - our own stub
            found: list[dict[str, Any]] = json.load(response)["requests"]
            return found


class OtlpReceiver(trace_service_pb2_grpc.TraceServiceServicer):
    """A real OTLP endpoint that keeps the spans it is sent."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._spans: list[trace_pb2.Span] = []

    def Export(  # noqa: N802 - OTLP's name
        self, request: trace_service_pb2.ExportTraceServiceRequest, context: grpc.ServicerContext
    ) -> trace_service_pb2.ExportTraceServiceResponse:
        """Keep the spans."""
        del context
        with self._lock:
            for resource in request.resource_spans:
                for scope in resource.scope_spans:
                    self._spans += scope.spans
        return trace_service_pb2.ExportTraceServiceResponse()

    def trace(self, trace_id: str) -> list[trace_pb2.Span]:
        """The spans of a trace, by its id in hex."""
        with self._lock:
            return [span for span in self._spans if span.trace_id.hex() == trace_id]


@contextmanager
def otlp_receiver() -> Iterator[tuple[OtlpReceiver, str]]:
    """A receiver and its endpoint."""
    receiver = OtlpReceiver()
    server = grpc.server(futures.ThreadPoolExecutor(max_workers=4))
    trace_service_pb2_grpc.add_TraceServiceServicer_to_server(receiver, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield receiver, f"http://127.0.0.1:{port}"
    finally:
        server.stop(grace=None).wait()


def free_address() -> str:
    """A loopback address that is free now."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{bound.getsockname()[1]}"


def said(process: Process, event: str) -> dict[str, Any]:
    """The latest line of a process's log with this event."""
    lines = [json.loads(line) for line in process.log.read_text().splitlines() if line.startswith("{")]
    found: dict[str, Any] = next(line for line in reversed(lines) if line.get("event") == event)
    return found


def eventually(condition: Callable[[], bool], what: str) -> None:
    """Wait until the condition holds, and fail with `what` if it never does."""
    wait_until(condition, seconds=READS_WITHIN, what=what)
