"""etcd, Kubernetes and what stands beside it, built once from Go modules into a cache outside the tree.

Decides where the binaries lie and builds those that are missing; starts none of them.
By hand: `PYTHONPATH=tests python -m cluster.harness.binaries` builds the API tier's and prints their folder; with
the argument `node` it builds the node tier's too.
"""

import contextlib
import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from cluster.harness.processes import Process

MODULES = Path(__file__).resolve().parent.parent / "binaries"
PACKAGES = {
    "etcd": "go.etcd.io/etcd/server/v3",
    "kube-apiserver": "k8s.io/kubernetes/cmd/kube-apiserver",
    "kubectl": "k8s.io/kubernetes/cmd/kubectl",
}
NODE_PACKAGES = {
    name: f"k8s.io/kubernetes/cmd/{name}"
    for name in ("kube-controller-manager", "kube-scheduler", "kubelet", "kube-proxy")
}
FLAGS = ("-trimpath", "-buildvcs=false", "-mod=readonly")
PROGRESS_SECONDS = 15

Report = Callable[[str], None]


class BinariesError(Exception):
    """The binaries cannot be had; the message says why and what to do."""


class NoUsableGoError(BinariesError):
    """There is no `go` that can build them: this machine cannot run what needs them."""


@dataclass(frozen=True, kw_only=True)
class Module:
    """A Go module under `binaries/`, and what of it is built together."""

    name: str
    packages: Mapping[str, str]
    pinned: str | None = None
    """The dependency whose version is the binaries' version; None where the module itself is all there is."""
    stamps: Mapping[str, str] = field(default_factory=dict)
    """Variables that a plain `go build` leaves at what no release calls itself, and what they become."""

    @property
    def folder(self) -> Path:
        """Where its go.mod is."""
        return MODULES / self.name

    def texts(self) -> list[str]:
        """Whatever of the module goes into a binary."""
        files = [file for pattern in ("go.mod", "go.sum", "*.go") for file in sorted(self.folder.glob(pattern))]
        return [file.read_text() for file in files]


_KUBERNETES = Module(
    name="kubernetes",
    packages=PACKAGES,
    pinned="k8s.io/kubernetes",
    stamps={  # without them the server is v0.0.0, of which kubectl and Helm complain
        "k8s.io/component-base/version.gitVersion": "v{major}.{minor}.{patch}",
        "k8s.io/component-base/version.gitMajor": "{major}",
        "k8s.io/component-base/version.gitMinor": "{minor}",
    },
)
API_TIER = (_KUBERNETES,)
NODE_TIER = (
    *API_TIER,
    replace(_KUBERNETES, packages=NODE_PACKAGES),
    Module(name="coredns", packages={"coredns": "."}, pinned="github.com/coredns/coredns"),
    Module(
        name="helm",
        packages={"helm": "helm.sh/helm/v3/cmd/helm"},
        pinned="helm.sh/helm/v3",
        stamps={
            "helm.sh/helm/v3/internal/version.version": "v{major}.{minor}.{patch}",
            # What `helm template` and `helm lint` hold against a chart's kubeVersion, as in Helm's own release.
            **{
                f"helm.sh/helm/v3/pkg/{package}.k8sVersion{part}": number
                for package in ("chartutil", "lint/rules")
                for part, number in (("Major", "1"), ("Minor", "36"))
            },
        },
    ),
    Module(name="pause", packages={"pause": "."}),
)
# What tests judge files by that are somebody else's to read: each is built when the first test needs it.
READERS = (
    Module(name="kind", packages={"kind-config": "."}, pinned="sigs.k8s.io/kind"),
    Module(name="promql", packages={"promql": "."}, pinned="github.com/prometheus/prometheus"),
)


@dataclass(frozen=True, kw_only=True)
class Binaries:
    """What is built from one module: where it is, or will be once `build` has returned."""

    module: Module
    version: str
    folder: Path
    go: Path
    ldflags: str

    def path(self, name: str) -> Path:
        """The binary of this name."""
        return self.folder / name

    def missing(self, names: Sequence[str] | None = None) -> list[str]:
        """Those of the named binaries, or of all, that are still to be built."""
        return [name for name in names or self.module.packages if not self.path(name).is_file()]


def locate(environ: Mapping[str, str], module: Module = _KUBERNETES) -> Binaries:
    """Say which binaries the pinned module and this machine's Go make, and where; build nothing.

    Whatever goes into a binary goes into the folder's name, so a cached one is never stale.
    """
    go_mod = (module.folder / "go.mod").read_text()
    go, toolchain = _toolchain(environ, module=module, go_mod=go_mod)
    version = _find(rf"^(?:require|\s)\s*{re.escape(module.pinned)} (v\S+)", go_mod) if module.pinned else "v1"
    parts = dict(zip(("major", "minor", "patch"), version.removeprefix("v").split("."), strict=False))
    ldflags = " ".join(["-s -w", *(f"-X {name}={value.format(**parts)}" for name, value in module.stamps.items())])
    inputs = "\n".join([*module.texts(), *FLAGS, ldflags, toolchain])
    key = f"{version}-{hashlib.sha256(inputs.encode()).hexdigest()[:12]}"
    named = key if module.name == _KUBERNETES.name else f"{module.name}-{key}"
    return Binaries(
        module=module, version=version, folder=cache_folder(environ) / "cluster" / named, go=go, ldflags=ldflags
    )


def build(
    binaries: Binaries,
    environ: Mapping[str, str],
    *,
    report: Report,
    names: Sequence[str] | None = None,
) -> None:
    """Build those of the named binaries, or of all, that are missing; two runs at once share one build."""
    if not binaries.missing(names):
        return
    binaries.folder.mkdir(parents=True, exist_ok=True)
    with locked(binaries.folder.parent / "lock", report=report):
        for left_by_a_killed_run in binaries.folder.parent.glob("building-*"):
            shutil.rmtree(left_by_a_killed_run, ignore_errors=True)
        missing = binaries.missing(names)  # another run may have built them while this one waited
        for number, name in enumerate(missing, start=1):
            _build_one(
                binaries,
                environ,
                name=name,
                place=f"{number} of {len(missing)}",
                report=report,
            )


def _build_one(binaries: Binaries, environ: Mapping[str, str], *, name: str, place: str, report: Report) -> None:
    what = f"{name} {binaries.version} ({place})"
    package = binaries.module.packages[name]
    started = time.monotonic()
    report(f"building {what} into {binaries.folder}")
    # Beside the cache's folders, so that the finished file moves into its place in one step.
    with tempfile.TemporaryDirectory(prefix="building-", dir=binaries.folder.parent) as scratch:
        output = Path(scratch, name)
        go = Process(
            "go build",
            [binaries.go, "build", *FLAGS, "-ldflags", binaries.ldflags, "-o", output, package],
            log=Path(scratch, "go-build.log"),
            cwd=binaries.module.folder,
            env={**environ, "CGO_ENABLED": "0", "GOWORK": "off"},
        )
        try:
            while (code := go.exit_code(within=PROGRESS_SECONDS)) is None:
                report(f"building {what}: {time.monotonic() - started:.0f} s")
        finally:
            go.stop()
        if code != 0:
            raise BinariesError(f"go build of {package} ended with {code}. {go.end_of_log()}")
        output.replace(binaries.path(name))
    report(f"built {what} in {time.monotonic() - started:.0f} s")


def _toolchain(environ: Mapping[str, str], *, module: Module, go_mod: str) -> tuple[Path, str]:
    wanted = _find(r"^go (\S+)$", go_mod)
    go = shutil.which("go", path=environ.get("PATH"))
    if go is None:
        raise NoUsableGoError(f"go is not on PATH; install Go {wanted} or newer")
    # Asked inside the module, so that a `go` which fetches the toolchain that go.mod wants may do so.
    asked = subprocess.run(
        [go, "env", "GOVERSION", "GOOS", "GOARCH"],
        cwd=module.folder,
        env=environ,
        capture_output=True,
        text=True,
        check=False,
    )
    if asked.returncode != 0:
        raise NoUsableGoError(f"{go} cannot build with Go {wanted}: {asked.stderr.strip()}")
    toolchain = " ".join(asked.stdout.split())
    found = re.search(r"go(\d+)\.(\d+)", toolchain)
    if found is None or (int(found[1]), int(found[2])) < tuple(int(part) for part in wanted.split(".")[:2]):
        raise NoUsableGoError(f"{go} is {toolchain}; install Go {wanted} or newer")
    return Path(go), toolchain


def cache_folder(environ: Mapping[str, str]) -> Path:
    """Where the tests keep what takes long to make and outlives a clone."""
    if own := environ.get("POINTSMAN_CACHE"):
        return Path(own).expanduser().absolute()
    shared = environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(shared).expanduser().absolute() / "pointsman"


@contextlib.contextmanager
def locked(file: Path, *, report: Report) -> Iterator[None]:
    """Hold a lock file, waiting for whoever holds it now."""
    with file.open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            report(f"waiting for another run that is building (it holds {file})")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _find(pattern: str, text: str) -> str:
    found = re.search(pattern, text, re.MULTILINE)
    if found is None:
        raise BinariesError(f"no line of the go.mod matches {pattern}")
    return found[1]


def report_on_stderr(line: str) -> None:
    """Show a line of progress to whoever waits."""
    sys.stderr.write(f"cluster binaries: {line}\n")
    sys.stderr.flush()


def main() -> None:
    """Build what is missing, and print the folders."""
    tier = NODE_TIER if sys.argv[1:] == ["node"] else (*API_TIER, *READERS)
    try:
        found = [locate(os.environ, module) for module in tier]
        for binaries in found:
            build(binaries, os.environ, report=report_on_stderr)
    except BinariesError as error:
        sys.exit(f"cluster binaries: {error}")
    except KeyboardInterrupt:
        sys.exit("cluster binaries: interrupted; those already built are kept")
    sys.stdout.writelines(f"{folder}\n" for folder in dict.fromkeys(binaries.folder for binaries in found))


if __name__ == "__main__":
    main()
