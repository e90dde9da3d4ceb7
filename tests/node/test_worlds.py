"""A node leaves nothing on the machine, however its run ends, and what it needs is said in a sentence."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from cluster.harness.binaries import NODE_TIER, locate
from cluster.harness.choice import ChoiceError
from cluster.harness.node import choice, own, residue
from cluster.harness.node.machine import MachineError, MachineUnfitError, check_fitness, install_missing
from cluster.harness.node.own import OwnNode
from cluster.harness.processes import ProcessError, wait_until

NAME = "pointsman-test"
# Opens a world, has a process in it hold a pipe open, and waits to be killed.
RUN = """
import os, sys
from pathlib import Path
from cluster.harness.node.world import opened
from cluster.harness.processes import Process
name, folder, pause, pipe = sys.argv[1], *map(Path, sys.argv[2:])
with opened(name=name, data=folder / "data", pause=pause, log=folder / "world.log", records=folder / "nodes",
            path=os.environ["PATH"]) as world:
    Process("lasting", world.enter(["setsid", "sh", "-c", f"sleep 300 >{pipe}"]), log=folder / "lasting.log")
    input()
"""


@pytest.mark.usefixtures("own_node")
def test_a_killed_run_leaves_nothing(tmp_path: Path) -> None:
    with start_run(tmp_path) as run, (tmp_path / "pipe").open() as end:
        run.kill()

        assert end.read() == ""  # ends when nobody is left who could write
        wait_until(lambda: not left(tmp_path), seconds=10, what="nothing is left")


@pytest.mark.usefixtures("own_node")
def test_the_next_run_removes_what_a_killed_run_and_its_killed_guard_left(tmp_path: Path) -> None:
    with start_run(tmp_path) as run, (tmp_path / "pipe").open() as end:
        wait_until(lambda: guard_of(run.pid) is not None, seconds=10, what="the guard is there")
        os.kill(guard_of(run.pid) or 0, signal.SIGKILL)
        run.kill()
        assert end.read() == ""
        assert left(tmp_path)

    removed = residue.remove_left_behind(tmp_path / "nodes")

    assert removed == [NAME]
    assert not left(tmp_path)


@pytest.mark.usefixtures("own_node")
def test_a_run_that_goes_on_is_left_alone_by_the_next(tmp_path: Path) -> None:
    with start_run(tmp_path) as run, (tmp_path / "pipe").open():
        removed = residue.remove_left_behind(tmp_path / "nodes")

        assert removed == []
        assert (tmp_path / "data").is_dir()
        run.kill()


def test_a_node_that_does_not_come_up_says_why_and_leaves_nothing(own_node: OwnNode, tmp_path: Path) -> None:
    def locate_broken(name: str) -> Path:
        return Path("/bin/false") if name == "kube-apiserver" else built(name)

    start = own.running(folder=tmp_path, locate=locate_broken, records=tmp_path / "nodes", environ=os.environ)
    with pytest.raises(ProcessError, match="kube-apiserver ended with 1 before it was ready"), start:
        pytest.fail("it came up")

    assert not left(tmp_path)
    assert (tmp_path / "logs" / "etcd.log").stat().st_size > 0
    assert own_node.cluster.kubectl("get", "nodes").returncode == 0  # another one is not touched


def test_what_is_missing_is_named_with_the_way_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cluster.harness.node.machine.PROGRAMS", {"no-such-program": "no-such-package"})
    monkeypatch.setattr("os.geteuid", lambda: 0)
    apt_get = tmp_path / "apt-get"
    apt_get.write_text("#!/bin/sh\necho no network >&2\nexit 100\n")
    apt_get.chmod(0o755)

    with pytest.raises(MachineError, match=r"(?s)`apt-get install .* no-such-package` by hand.*no network"):
        install_missing({"PATH": str(tmp_path)}, report=lambda _: None)


def test_without_root_it_is_said_that_root_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 1000)

    with pytest.raises(MachineUnfitError, match="a node needs root"):
        check_fitness()


def test_a_given_cluster_needs_the_images_names(tmp_path: Path) -> None:
    (tmp_path / "kubeconfig").touch()

    with pytest.raises(ChoiceError, match=r"POINTSMAN_TEST_IMAGES must say .* registry\.example/pointsman-\{\}:tag"):
        choice.choose({"PATH": os.environ["PATH"], "POINTSMAN_TEST_KUBECONFIG": str(tmp_path / "kubeconfig")})


def test_a_given_cluster_takes_its_images_from_where_it_is_told(tmp_path: Path) -> None:
    (tmp_path / "kubeconfig").touch()
    named = {"POINTSMAN_TEST_KUBECONFIG": str(tmp_path / "kubeconfig"), "POINTSMAN_TEST_IMAGES": "own/{}:7"}

    chosen = choice.choose({**os.environ, **named})

    assert isinstance(chosen, choice.Given)
    assert {plane: image.name for plane, image in chosen.images.items()} == {
        "operator": "own/operator:7",
        "sidecar": "own/sidecar:7",
        "examples": "own/examples:7",
    }


def start_run(folder: Path) -> subprocess.Popen[bytes]:
    """A run with an open world, which holds the pipe open from inside."""
    os.mkfifo(folder / "pipe")
    return subprocess.Popen(
        [sys.executable, "-c", RUN, NAME, folder, built("pause"), folder / "pipe"],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        stdin=subprocess.PIPE,
    )


def built(name: str) -> Path:
    modules = (module for module in NODE_TIER if name in module.packages)
    return locate(os.environ, next(modules)).path(name)


def guard_of(run: int) -> int | None:
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            command = (folder / "cmdline").read_text()
            parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue
        if parent == run and residue.__file__ in command:
            return int(folder.name)
    return None


def left(folder: Path) -> list[str]:
    """What is left of a world: cgroups, data, a record, mounts."""
    mounts = [line for line in Path("/proc/mounts").read_text().splitlines() if str(folder) in line]
    places = [*residue.cgroups_of(NAME), folder / "data", *(folder / "nodes").glob("*")]
    return [*mounts, *(str(place) for place in places if place.exists())]
