"""The harness is what it claims: a real API server, built once, and gone when the run is gone."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from cluster.harness.apiserver import ApiServer
from cluster.harness.binaries import PACKAGES, BinariesError, NoUsableGoError, build, locate
from cluster.harness.cluster import Cluster
from cluster.harness.processes import Process, ProcessError, wait_until

WIDGETS = """
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: widgets.harness.pointsman.dev}
spec:
  group: harness.pointsman.dev
  scope: Namespaced
  names: {kind: Widget, plural: widgets, singular: widget}
  versions:
  - name: v1
    served: true
    storage: true
    schema:
      openAPIV3Schema:
        type: object
        properties:
          spec:
            type: object
            properties: {low: {type: integer}, high: {type: integer}}
            x-kubernetes-validations:
            - {rule: self.low <= self.high, message: low must not be above high}
"""
WIDGET = """
apiVersion: harness.pointsman.dev/v1
kind: Widget
metadata: {name: upside-down}
spec: {low: 2, high: 1}
"""
CONFIG_MAP = """
apiVersion: v1
kind: ConfigMap
metadata: {name: note}
data: {text: kept}
"""
GO_ENV = 'if [ "$1" = env ]; then echo go1.26.0; echo linux; echo amd64; exit; fi'


def text_of_note(cluster: Cluster, namespace: str) -> str:
    return cluster.kubectl("get", "configmap/note", "-n", namespace, "-o", "jsonpath={.data.text}").stdout


def fake_go(folder: Path, *, script: str) -> dict[str, str]:
    """An environment whose `go` is this shell script, and whose cache is empty."""
    go = folder / "bin" / "go"
    go.parent.mkdir()
    go.write_text(f"#!/bin/sh\n{script}\n")
    go.chmod(0o755)
    return {"PATH": f"{go.parent}{os.pathsep}{os.environ['PATH']}", "POINTSMAN_CACHE": str(folder / "cache")}


def test_the_built_server_is_of_the_pinned_version(cluster: Cluster, api_server: ApiServer) -> None:
    version = locate(os.environ).version

    assert f"Server Version: {version}" in cluster.kubectl("version").stdout
    assert f"Client Version: {version}" in cluster.kubectl("version").stdout
    assert str(api_server.kubeconfig) == str(cluster.kubeconfig)


def test_what_is_applied_can_be_read(cluster: Cluster) -> None:
    namespace = cluster.namespace("harness", labels={"ai": "allowed"})
    cluster.apply(CONFIG_MAP, namespace=namespace)

    labels = cluster.kubectl("get", "namespace", namespace, "-o", "jsonpath={.metadata.labels.ai}").stdout
    assert labels == "allowed"
    assert text_of_note(cluster, namespace) == "kept"


def test_a_cel_rule_refuses_with_its_sentence(cluster: Cluster, tmp_path: Path) -> None:
    (tmp_path / "widgets.yaml").write_text(WIDGETS)
    cluster.install_crds(tmp_path)

    refused = cluster.apply(WIDGET, namespace=cluster.namespace("harness"), check=False)

    assert refused.returncode == 1
    assert "low must not be above high" in refused.stderr


def test_a_restart_of_the_api_server_keeps_objects_and_users(cluster: Cluster, api_server: ApiServer) -> None:
    namespace = cluster.namespace("harness")
    cluster.apply(CONFIG_MAP, namespace=namespace)
    reader = cluster.kubectl_as(cluster.kubeconfig_for("reader", namespace=namespace))

    api_server.restart()

    assert text_of_note(cluster, namespace) == "kept"
    assert f"system:serviceaccount:{namespace}:reader" in reader("get", "configmaps", check=False).stderr


def test_a_user_without_a_role_is_refused_until_it_has_one(cluster: Cluster) -> None:
    namespace = cluster.namespace("harness")
    cluster.apply(CONFIG_MAP, namespace=namespace)
    reader = cluster.kubectl_as(cluster.kubeconfig_for("reader", namespace=namespace))
    read = ("get", "configmap/note", "-n", namespace)

    refused = reader(*read, check=False)
    cluster.kubectl("create", "role", "reader", "--verb=get", "--resource=configmaps", "-n", namespace)
    subject = f"--serviceaccount={namespace}:reader"
    cluster.kubectl("create", "rolebinding", "reader", "--role=reader", subject, "-n", namespace)

    assert "Forbidden" in refused.stderr
    assert f"system:serviceaccount:{namespace}:reader" in refused.stderr
    wait_until(lambda: reader(*read, check=False).returncode == 0, seconds=10, what="the role is in force")


def test_a_process_that_ends_before_it_is_ready_shows_the_end_of_its_log(tmp_path: Path) -> None:
    process = Process("frail", ["sh", "-c", "echo no such port; exit 3"], log=tmp_path / "frail.log")

    with pytest.raises(ProcessError, match=r"(?s)frail ended with 3 before it was ready\..*no such port"):
        process.wait_until_ready(lambda: False, seconds=10)


def test_processes_end_when_the_run_that_started_them_is_killed(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    run = f"""
from pathlib import Path
from cluster.harness.processes import Process
Process("lasting", ["sh", "-c", "exec sleep 300 >{pipe}"], log=Path({str(tmp_path / "log")!r}))
input()
"""
    environ = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", run]
    with subprocess.Popen(command, env=environ, stdin=subprocess.PIPE) as started, pipe.open() as end:
        started.kill()

        assert end.read() == ""  # ends when nobody is left who could write


def test_without_go_it_is_said_which_go_to_install(tmp_path: Path) -> None:
    with pytest.raises(NoUsableGoError, match=r"go is not on PATH; install Go 1\.\d+ or newer"):
        locate({"PATH": str(tmp_path)})


def test_an_old_go_is_named(tmp_path: Path) -> None:
    with pytest.raises(NoUsableGoError, match=r"bin/go is go1\.19\.8 linux amd64; install Go 1\.\d+ or newer"):
        locate(fake_go(tmp_path, script="echo go1.19.8 linux amd64"))


def test_binaries_are_built_once_with_progress_shown(tmp_path: Path) -> None:
    environ = fake_go(tmp_path, script=f'{GO_ENV}\nwhile [ "$1" != -o ]; do shift; done; echo built >"$2"')
    lines: list[str] = []

    build(locate(environ), environ, report=lines.append)
    first = list(lines)
    build(locate(environ), environ, report=lines.append)

    assert [name for name in PACKAGES if locate(environ).path(name).read_text() == "built\n"] == list(PACKAGES)
    assert [line.split()[0] for line in first] == ["building", "built"] * 3
    assert "kube-apiserver v1." in first[2]
    assert "(2 of 3)" in first[2]
    assert lines == first


def test_a_failed_build_shows_what_go_said_and_leaves_nothing(tmp_path: Path) -> None:
    environ = fake_go(tmp_path, script=f"{GO_ENV}\necho no space left on device >&2; exit 1")
    binaries = locate(environ)

    with pytest.raises(BinariesError, match=r"(?s)server/v3 ended with 1\..*no space left on device"):
        build(binaries, environ, report=lambda _: None)

    assert binaries.missing() == list(PACKAGES)
