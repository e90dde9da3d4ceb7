"""From an empty cluster to the first routed answer: `make kind`, and the node tier's test of the same.

Both do what `first_answer` does: load the images, and run examples/kubernetes/first-answer.sh. What differs is the node
that they hand to it.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from cluster.harness.binaries import Report
from cluster.harness.node.images import Image, ImagesError, build_images
from cluster.harness.node.places import Node, PlaceError, kind_node

ROOT = Path(__file__).resolve().parents[4]
SCRIPT = ROOT / "examples" / "kubernetes" / "first-answer.sh"
KIND_NAME, KIND_FOLDER = "pointsman", ROOT / "dist" / "kind"
INSTALL = {
    "docker": "https://docs.docker.com/engine/install",
    "kind": "https://kind.sigs.k8s.io/docs/user/quick-start",
    "kubectl": "https://kubernetes.io/docs/tasks/tools",
    "helm": "https://helm.sh/docs/intro/install",
}

BuildImages = Callable[[Mapping[str, str]], Mapping[str, Image]]


class FirstAnswerError(Exception):
    """There was none; the message says why, and what to do."""


def first_answer(node: Node, images: Mapping[str, Image], *, report: Report) -> str:
    """Load the images, go through the sequence, report its lines as they come, and return them all."""
    for image in images.values():
        if image.archive is not None:
            report(f"loading {image.name}")
            node.load_image(image.archive)
    programs = [str(program.parent) for program in (node.cluster.kubectl.binary, node.helm.binary)]
    path = os.pathsep.join([*programs, os.environ.get("PATH", os.defpath)])
    script = subprocess.Popen(
        [SCRIPT],
        env={**os.environ, **node.helm.environ, "PATH": path},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    lines = []
    with script:
        for line in script.stdout or ():
            report(line.rstrip("\n"))
            lines.append(line)
    if script.returncode != 0:
        raise FirstAnswerError(f"{SCRIPT.name} ended with {script.returncode} at the command above")
    return "".join(lines)


def on_kind(environ: Mapping[str, str], *, build: BuildImages, folder: Path, report: Report) -> None:
    """Make a cluster of kind's, unless it is there, and go through the sequence on it; nothing is deleted."""
    programs = _programs(environ)
    folder.mkdir(parents=True, exist_ok=True)
    node = kind_node(name=KIND_NAME, folder=folder, kubectl=programs["kubectl"], helm=programs["helm"])
    if node.exists():
        report(f"cluster {KIND_NAME} is there already; pods that run in it keep the images that they were started with")
        node.fetch_kubeconfig()
    else:
        report(f"creating cluster {KIND_NAME}, by kind-config.yaml")
        node.create(show=True)
    first_answer(node, build(environ), report=report)
    report("that was the first routed answer. To look around, and to be rid of it:")
    report(f"  export KUBECONFIG={node.cluster.kubeconfig}")
    report("  make kind-delete")


def _programs(environ: Mapping[str, str]) -> dict[str, Path]:
    path = environ.get("PATH")
    found = {name: Path(program) for name in INSTALL if (program := shutil.which(name, path=path))}
    if missing := [name for name in INSTALL if name not in found]:
        ways = "".join(f"\n  {name}: {INSTALL[name]}" for name in missing)
        raise FirstAnswerError(f"it needs {' and '.join(missing)}, not to be found on PATH. How to install:{ways}")
    asked = subprocess.run([found["docker"], "info"], capture_output=True, text=True, check=False)
    if asked.returncode != 0:
        raise FirstAnswerError(f"docker is installed and does not run; start it. `docker info`: {asked.stderr.strip()}")
    return found


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def main() -> None:
    """`make kind`."""
    try:
        on_kind(
            os.environ,
            build=lambda environ: build_images(environ, engine="docker", report=_say),
            folder=KIND_FOLDER,
            report=_say,
        )
    except (FirstAnswerError, ImagesError, PlaceError) as error:
        sys.exit(f"kind: {error}")
    except KeyboardInterrupt:
        sys.exit("kind: interrupted; `make kind` goes on from here, `make kind-delete` deletes the cluster")


if __name__ == "__main__":
    main()
