"""What `make kind` does with docker, kind, kubectl and helm, which write down here how they are called.

None of them can be had everywhere; that the commands do what is meant is shown on the node of the tests, and by the
workflow .github/workflows/kind.yaml where Docker runs.
"""

from collections.abc import Callable
from pathlib import Path

import pytest

from cluster.harness.node.first_answer import FirstAnswerError, on_kind
from cluster.harness.node.images import Image
from cluster.harness.node.places import KIND_CONFIG, PlaceError

Programs = Callable[..., dict[str, str]]


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Programs:
    """Make programs that write down how they are called, each with a script for what else it does."""

    def make(**scripts: str) -> dict[str, str]:
        folder = tmp_path / "bin"
        folder.mkdir()
        for name, script in scripts.items():
            program = folder / name
            program.write_text(f'#!/bin/sh\necho "{name} $*" >>{tmp_path}/calls\n{script}\n')
            program.chmod(0o755)
        for name in ("bash", "sh", "env", "dirname"):
            (folder / name).symlink_to(f"/usr/bin/{name}")
        monkeypatch.setenv("PATH", str(folder))
        return {"PATH": str(folder)}

    return make


def images(folder: Path) -> dict[str, Image]:
    return {name: Image(name=f"pointsman-{name}:1", archive=folder / f"{name}.tar") for name in ("operator", "sidecar")}


def run(environ: dict[str, str], folder: Path) -> list[str]:
    said: list[str] = []
    on_kind(environ, build=lambda _: images(folder), folder=folder / "kind", report=said.append)
    return said


def test_a_cluster_is_made_and_given_the_images_and_then_the_sequence_runs_on_it(
    programs: Programs, tmp_path: Path
) -> None:
    said = run(programs(docker="", kind="", kubectl='echo "on $KUBECONFIG"', helm=""), tmp_path)

    kubeconfig = tmp_path / "kind" / "kubeconfig"
    calls = (tmp_path / "calls").read_text().splitlines()
    assert calls[:5] == [
        "docker info",
        "kind get clusters",
        f"kind create cluster --config {KIND_CONFIG} --wait=2m --name pointsman --kubeconfig {kubeconfig}",
        f"kind load image-archive {tmp_path}/operator.tar --name pointsman",
        f"kind load image-archive {tmp_path}/sidecar.tar --name pointsman",
    ]
    assert calls[5].startswith("helm upgrade --install pointsman-crds charts/pointsman-crds ")
    assert calls[-1] == "kubectl get mrp --namespace shop"
    assert f"on {kubeconfig}" in said  # and no other cluster that the user may be at
    assert "$ kubectl get mrp --namespace shop" in said
    assert f"  export KUBECONFIG={kubeconfig}" in said


def test_a_cluster_that_is_there_is_used_again(programs: Programs, tmp_path: Path) -> None:
    said = run(programs(docker="", kind='[ "$1" = get ] && echo pointsman; true', kubectl="", helm=""), tmp_path)

    calls = (tmp_path / "calls").read_text()
    assert said[0].startswith("cluster pointsman is there already; ")
    assert "kind create" not in calls
    assert f"kind export kubeconfig --name pointsman --kubeconfig {tmp_path}/kind/kubeconfig\n" in calls


def test_what_is_missing_is_named_with_where_to_get_it(programs: Programs, tmp_path: Path) -> None:
    with pytest.raises(FirstAnswerError) as refused:
        run(programs(docker="", kubectl=""), tmp_path)

    assert str(refused.value).splitlines() == [
        "it needs kind and helm, not to be found on PATH. How to install:",
        "  kind: https://kind.sigs.k8s.io/docs/user/quick-start",
        "  helm: https://helm.sh/docs/intro/install",
    ]
    assert not (tmp_path / "calls").exists()


def test_a_docker_that_does_not_run_is_said_before_anything_is_made(programs: Programs, tmp_path: Path) -> None:
    environ = programs(docker="echo 'Cannot connect to the Docker daemon' >&2; exit 1", kind="", kubectl="", helm="")

    with pytest.raises(FirstAnswerError, match=r"docker is installed and does not run.*Cannot connect"):
        run(environ, tmp_path)

    assert (tmp_path / "calls").read_text() == "docker info\n"


def test_an_image_that_kind_does_not_take_is_said_with_kinds_reason(programs: Programs, tmp_path: Path) -> None:
    kind = 'if [ "$1" = load ]; then echo "ERROR: no such file" >&2; exit 1; fi'

    with pytest.raises(PlaceError, match=r"kind load image-archive .* ended with 1: ERROR: no such file"):
        run(programs(docker="", kind=kind, kubectl="", helm=""), tmp_path)


def test_the_sequence_ends_at_the_command_that_failed(programs: Programs, tmp_path: Path) -> None:
    environ = programs(docker="", kind="", kubectl="", helm="echo 'context deadline exceeded' >&2; exit 1")

    with pytest.raises(FirstAnswerError, match=r"first-answer\.sh ended with 1 at the command above"):
        run(environ, tmp_path)

    calls = (tmp_path / "calls").read_text()
    assert calls.count("helm ") == 1
    assert "kubectl" not in calls
