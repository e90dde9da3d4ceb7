"""etcd, kube-apiserver and kubectl, built once from Go modules into a cache outside the tree.

Decides where the binaries lie and builds those that are missing; starts none of them.
By hand: `PYTHONPATH=tests python -m cluster.harness.binaries` builds them and prints their folder.
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
from dataclasses import dataclass
from pathlib import Path

from cluster.harness.processes import Process

MODULE = Path(__file__).resolve().parent.parent / "binaries" / "kubernetes"
PACKAGES = {
    "etcd": "go.etcd.io/etcd/server/v3",
    "kube-apiserver": "k8s.io/kubernetes/cmd/kube-apiserver",
    "kubectl": "k8s.io/kubernetes/cmd/kubectl",
}
FLAGS = ("-trimpath", "-buildvcs=false", "-mod=readonly")
PROGRESS_SECONDS = 15

Report = Callable[[str], None]


class BinariesError(Exception):
    """The binaries cannot be had; the message says why and what to do."""


class NoUsableGoError(BinariesError):
    """There is no `go` that can build them: this machine cannot run what needs them."""


@dataclass(frozen=True, kw_only=True)
class Binaries:
    """The binaries of one pinned version: where they are, or will be once `build` has returned."""

    version: str
    folder: Path
    go: Path
    ldflags: str

    def path(self, name: str) -> Path:
        """The binary of this name."""
        return self.folder / name

    def missing(self, names: Sequence[str] = tuple(PACKAGES)) -> list[str]:
        """Those of the named binaries that are still to be built."""
        return [name for name in names if not self.path(name).is_file()]


def locate(environ: Mapping[str, str]) -> Binaries:
    """Say which binaries the pinned module and this machine's Go make, and where; build nothing.

    Whatever goes into a binary goes into the folder's name, so a cached one is never stale.
    """
    go_mod = (MODULE / "go.mod").read_text()
    go, toolchain = _toolchain(environ, go_mod=go_mod)
    version = _find(r"^\s*k8s\.io/kubernetes (v\S+)", go_mod)
    major, minor, _ = version.removeprefix("v").split(".")
    # A plain `go build` leaves the version at v0.0.0, of which kubectl and Helm complain.
    stamps = {"gitVersion": version, "gitMajor": major, "gitMinor": minor}
    ldflags = " ".join(["-s -w", *(f"-X k8s.io/component-base/version.{k}={v}" for k, v in stamps.items())])
    inputs = "\n".join([go_mod, (MODULE / "go.sum").read_text(), *FLAGS, ldflags, toolchain])
    key = f"{version}-{hashlib.sha256(inputs.encode()).hexdigest()[:12]}"
    return Binaries(version=version, folder=_cache(environ) / key, go=go, ldflags=ldflags)


def build(
    binaries: Binaries,
    environ: Mapping[str, str],
    *,
    report: Report,
    names: Sequence[str] = tuple(PACKAGES),
) -> None:
    """Build those of the named binaries that are missing; two runs at once share one build."""
    if not binaries.missing(names):
        return
    binaries.folder.mkdir(parents=True, exist_ok=True)
    with _locked(binaries.folder.parent / "lock", report=report):
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
    started = time.monotonic()
    report(f"building {what} into {binaries.folder}")
    # Beside the cache's folders, so that the finished file moves into its place in one step.
    with tempfile.TemporaryDirectory(prefix="building-", dir=binaries.folder.parent) as scratch:
        output = Path(scratch, name)
        go = Process(
            "go build",
            [binaries.go, "build", *FLAGS, "-ldflags", binaries.ldflags, "-o", output, PACKAGES[name]],
            log=Path(scratch, "go-build.log"),
            cwd=MODULE,
            env={**environ, "CGO_ENABLED": "0", "GOWORK": "off"},
        )
        try:
            while (code := go.exit_code(within=PROGRESS_SECONDS)) is None:
                report(f"building {what}: {time.monotonic() - started:.0f} s")
        finally:
            go.stop()
        if code != 0:
            raise BinariesError(f"go build of {PACKAGES[name]} ended with {code}. {go.end_of_log()}")
        output.replace(binaries.path(name))
    report(f"built {what} in {time.monotonic() - started:.0f} s")


def _toolchain(environ: Mapping[str, str], *, go_mod: str) -> tuple[Path, str]:
    wanted = _find(r"^go (\S+)$", go_mod)
    go = shutil.which("go", path=environ.get("PATH"))
    if go is None:
        raise NoUsableGoError(f"go is not on PATH; install Go {wanted} or newer")
    # Asked inside the module, so that a `go` which fetches the toolchain that go.mod wants may do so.
    asked = subprocess.run(
        [go, "env", "GOVERSION", "GOOS", "GOARCH"],
        cwd=MODULE,
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


def _cache(environ: Mapping[str, str]) -> Path:
    if own := environ.get("POINTSMAN_CACHE"):
        return Path(own).expanduser().absolute() / "cluster"
    shared = environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(shared).expanduser().absolute() / "pointsman" / "cluster"


@contextlib.contextmanager
def _locked(file: Path, *, report: Report) -> Iterator[None]:
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
        raise BinariesError(f"{MODULE / 'go.mod'} has no line that matches {pattern}")
    return found[1]


def report_on_stderr(line: str) -> None:
    """Show a line of progress to whoever waits."""
    sys.stderr.write(f"cluster binaries: {line}\n")
    sys.stderr.flush()


def main() -> None:
    """Build what is missing, and print the folder."""
    try:
        binaries = locate(os.environ)
        build(binaries, os.environ, report=report_on_stderr)
    except BinariesError as error:
        sys.exit(f"cluster binaries: {error}")
    except KeyboardInterrupt:
        sys.exit("cluster binaries: interrupted; those already built are kept")
    sys.stdout.write(f"{binaries.folder}\n")


if __name__ == "__main__":
    main()
