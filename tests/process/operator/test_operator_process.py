"""The command as a real process, with no cluster to be had."""

import json
import os
import signal
import socket
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from subprocess import CompletedProcess, run
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from cluster.harness.processes import Process

COMMAND = [sys.executable, "-m", "pointsman_operator"]
ENVIRON = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}

KUBECONFIG = """
current-context: away
clusters: [{name: away, cluster: {server: "http://127.0.0.1:9"}}]
users: [{name: away, user: {token: sk-kube}}]
contexts: [{name: away, context: {cluster: away, user: away}}]
"""


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as held:
        return int(held.getsockname()[1])


def refused(*arguments: str) -> CompletedProcess[str]:
    return run([*COMMAND, *arguments], env=ENVIRON, capture_output=True, text=True, timeout=30, check=False)


@pytest.fixture
def kubeconfig(tmp_path: Path) -> Path:
    file = tmp_path / "kubeconfig"
    file.write_text(KUBECONFIG)
    return file


@pytest.fixture
def process(kubeconfig: Path, tmp_path: Path) -> Iterator[Process]:
    log = tmp_path / "operator.log"
    arguments = ["--listen=127.0.0.1:0", "--metrics-listen=127.0.0.1:0", "--insecure-claimed-identity"]
    started = Process("pointsman-operator", [*COMMAND, f"--kubeconfig={kubeconfig}", *arguments], log=log, env=ENVIRON)
    started.wait_until_ready(lambda: '"listening"' in log.read_text(), seconds=30)
    yield started
    started.kill()


def bound(process: Process) -> dict[str, str]:
    lines = [json.loads(line) for line in process.log.read_text().splitlines()]
    (listening,) = [line for line in lines if line["event"] == "listening"]
    return {name: listening[name] for name in ("listen", "metrics_listen")}


def get(process: Process, path: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(f"http://{bound(process)['metrics_listen']}{path}", timeout=5) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


def test_a_wrong_setting_ends_it_with_one_sentence() -> None:
    ended = refused("--listen=9443")

    assert ended.returncode == 2
    assert ended.stderr == (
        "pointsman-operator: --listen is '9443', which is no HOST:PORT; write for example 127.0.0.1:9443\n"
    )


def test_without_a_way_to_kubernetes_it_ends_with_one_sentence(tmp_path: Path) -> None:
    ended = refused(f"--kubeconfig={tmp_path / 'none'}")

    assert ended.returncode == 1
    assert ended.stderr.startswith("pointsman-operator: no connection to Kubernetes: ")
    assert len(ended.stderr.splitlines()) == 1


def test_a_port_that_is_taken_ends_it_with_one_sentence(kubeconfig: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        cluster = (f"--kubeconfig={kubeconfig}", "--insecure-claimed-identity")
        grpc_taken = refused(*cluster, f"--listen=127.0.0.1:{port}", "--metrics-listen=127.0.0.1:0")
        http_taken = refused(*cluster, "--listen=127.0.0.1:0", f"--metrics-listen=127.0.0.1:{port}")

    for ended, option in ((grpc_taken, "--listen"), (http_taken, "--metrics-listen")):
        last = ended.stderr.splitlines()[-1]
        assert ended.returncode == 1
        assert last.startswith(f"pointsman-operator: cannot listen on 127.0.0.1:{port}: ")
        assert last.endswith(f"set another address with {option}")
        assert "Traceback" not in ended.stderr


def test_while_the_cluster_is_away_it_lives_and_is_not_ready(process: Process) -> None:
    assert get(process, "/healthz") == (200, "ok\n")
    assert get(process, "/readyz") == (503, "the cluster has not been read yet\n")
    with grpc.insecure_channel(bound(process)["listen"]) as channel:
        # The packages' own stubs have no types for these two.
        check: Any = health_pb2_grpc.HealthStub(channel)
        health = check.Check(health_pb2.HealthCheckRequest(), timeout=10)
    assert health.status == health_pb2.HealthCheckResponse.NOT_SERVING


def test_its_metrics_are_there_from_the_start(process: Process) -> None:
    status, text = get(process, "/metrics")

    assert status == 200
    assert "pointsman_operator_sidecars 0.0" in text
    assert "process_resident_memory_bytes" in text


def test_its_service_can_be_found_by_reflection(process: Process) -> None:
    with grpc.insecure_channel(bound(process)["listen"]) as channel:
        asked = iter([reflection_pb2.ServerReflectionRequest(list_services="")])
        stub: Any = reflection_pb2_grpc.ServerReflectionStub(channel)
        (answer,) = stub.ServerReflectionInfo(asked, timeout=10)

    assert "pointsman_api.v1.Control" in {each.name for each in answer.list_services_response.service}


def test_it_stops_when_told_and_logs_only_json_without_secrets(process: Process) -> None:
    os.kill(process.pid, signal.SIGTERM)

    assert process.exit_code(within=5) == 0
    text = process.log.read_text()
    assert all(isinstance(json.loads(line), dict) for line in text.splitlines())
    assert "sk-kube" not in text


def test_without_a_certificate_it_lives_serves_nobody_and_can_be_stopped(kubeconfig: Path, tmp_path: Path) -> None:
    log, metrics = tmp_path / "operator.log", f"127.0.0.1:{free_port()}"
    arguments = [f"--kubeconfig={kubeconfig}", "--listen=127.0.0.1:0", f"--metrics-listen={metrics}"]
    waiting = Process("pointsman-operator", [*COMMAND, *arguments], log=log, env=ENVIRON)
    try:
        waiting.wait_until_ready(lambda: "the CA's Secret cannot be used now" in log.read_text(), seconds=30)
        with urllib.request.urlopen(f"http://{metrics}/healthz", timeout=5) as answer:
            assert answer.status == 200
        with pytest.raises(urllib.error.HTTPError, match="503") as unready:
            urllib.request.urlopen(f"http://{metrics}/readyz", timeout=5)
        unready.value.close()
        assert '"listening"' not in log.read_text()

        os.kill(waiting.pid, signal.SIGTERM)

        assert waiting.exit_code(within=5) == 0
    finally:
        waiting.kill()


def test_a_mounted_certificate_that_is_not_there_ends_it_with_one_sentence(kubeconfig: Path, tmp_path: Path) -> None:
    listen = ("--listen=127.0.0.1:0", "--metrics-listen=127.0.0.1:0")

    ended = refused(f"--kubeconfig={kubeconfig}", f"--tls-dir={tmp_path}", *listen)

    assert ended.returncode == 1
    assert ended.stderr.splitlines()[-1] == (
        f"pointsman-operator: {tmp_path}/tls.crt cannot be read: No such file or directory; "
        "mount a Secret with tls.crt, tls.key and ca.crt, as cert-manager makes it"
    )
    assert "Traceback" not in ended.stderr
