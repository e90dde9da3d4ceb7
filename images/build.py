"""Builds the images of both planes and of the examples and writes them as docker-archives: `make images`.

    python images/build.py                     with docker or podman where one runs, else with buildah (needs root)
    python images/build.py --inputs-only       only what a build by hand needs, into dist/inputs
    python images/build.py --again             once more without any cache, to see whether the same comes out

Whatever comes from a package index is fetched here, by pip with the hashes of the lock, and as wheels only. The build
itself asks no index, runs no compiler, and makes the same image of the same inputs: with buildah to the last byte.
buildah takes no base from a registry: one is made by debootstrap, of the suite that the Dockerfile names by default.
"""

import argparse
import fcntl
import hashlib
import json
import os
import platform
import shutil
import subprocess
import sys
import tarfile
import tempfile
import tomllib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
INPUTS = ROOT / "dist" / "inputs"
PLANES = ("operator", "sidecar", "examples")
# What an image may weigh unpacked, in megabytes. A test holds it.
LARGEST = {"operator": 220, "sidecar": 120, "examples": 130}
SUITE, PYTHON, GLIBC = "trixie", "3.13", 41
INCLUDED = "ca-certificates,python3,python3-pip"
EPOCH = os.environ.get("SOURCE_DATE_EPOCH", "315532800")  # 1980, the first day that a zip file can hold
SOURCES = ("LICENSE", "README.md", "pyproject.toml", "build_hooks", "cli", "crds", "operator",
           "protos", "sidecar", "stub")  # fmt: skip
# What is kept of earlier builds, the latest: archives, and layers in buildah's storage.
KEPT_ARCHIVES, KEPT_LAYERS = 6, 60


class BuildError(Exception):
    """The images cannot be built; the message says why."""


def main() -> None:
    """Build, and print a line for each: plane, name and archive."""
    parser = argparse.ArgumentParser(description="Builds the images of both planes and of the examples.")
    parser.add_argument("--engine", choices=["docker", "podman", "buildah"], help="default: the first that works")
    parser.add_argument("--plane", choices=PLANES, action="append", help="default: all")
    parser.add_argument("--inputs-only", action="store_true", help="fill dist/inputs and build nothing")
    parser.add_argument("--again", action="store_true", help="build again, and fail unless the same comes out")
    arguments = parser.parse_args()
    try:
        cache = _cache()
        with _locked(cache / "lock"):
            _fetch_inputs(cache)
            if arguments.inputs_only:
                return
            engine = arguments.engine or _engine()
            for plane, archive in _build(engine, arguments.plane or PLANES, cache=cache).items():
                if arguments.again:
                    _build_again(engine, plane, archive, cache=cache)
                sys.stdout.write(f"{plane}\t{name_of(plane)}\t{archive}\n")
    except BuildError as error:
        sys.exit(f"images: {error}")


def name_of(plane: str) -> str:
    """The name and tag of a plane's image."""
    return f"pointsman-{plane}:{_version()}"


def _build(engine: str, planes: Sequence[str], *, cache: Path) -> dict[str, Path]:
    built = {}
    inputs = _digest(ROOT / "Dockerfile", ROOT / "images", INPUTS)
    for plane in planes:
        archive = cache / f"{plane}-{_key(engine, SUITE, INCLUDED, EPOCH, _version(), inputs)}.tar"
        if not archive.is_file():
            _say(f"building {name_of(plane)} with {engine}")
            with tempfile.TemporaryDirectory(dir=cache, prefix="building-") as scratch:
                unfinished = Path(scratch, "image.tar")
                _build_one(engine, plane, unfinished, cache=cache)
                unfinished.replace(archive)
        archive.touch()
        built[plane] = archive
    archives = [file for plane in PLANES for file in cache.glob(f"{plane}-*.tar")]
    for old in sorted(archives, key=lambda archive: archive.stat().st_mtime)[:-KEPT_ARCHIVES]:
        old.unlink()
    return built


def _build_again(engine: str, plane: str, archive: Path, *, cache: Path) -> None:
    with tempfile.TemporaryDirectory(dir=cache, prefix="building-") as scratch:
        second = Path(scratch, "image.tar")
        _say(f"building {name_of(plane)} once more, without a cache")
        _build_one(engine, plane, second, cache=cache, options=["--no-cache"])
        ids = [_image_id(archive), _image_id(second)]
    if ids[0] != ids[1]:
        raise BuildError(f"{name_of(plane)} is {ids[0]}, and {ids[1]} when it is built again of the same inputs")


def _image_id(archive: Path) -> str:
    """The digest of the image's configuration, which has those of its layers."""
    with tarfile.open(archive) as tar:
        manifest = tar.extractfile("manifest.json")
        return str(json.load(manifest)[0]["Config"]) if manifest else ""


def _build_one(engine: str, plane: str, archive: Path, *, cache: Path, options: Sequence[str] = ()) -> None:
    options = [*options, "--build-arg", f"VERSION={_version()}", "--target", plane, "--file", str(ROOT / "Dockerfile")]
    name = name_of(plane)
    if engine != "buildah":
        _run(engine, "build", "--quiet", *options, "--build-arg", f"SOURCE_DATE_EPOCH={EPOCH}", "--tag", name, ROOT)
        _run(engine, "save", "--output", archive, name)
        return
    buildah = _buildah(cache)
    options += ["--build-arg", f"BASE={_debootstrapped(cache)}", "--isolation", "chroot", "--identity-label=false"]
    _run(*buildah, "build", "--quiet", "--layers", *options, "--timestamp", EPOCH, "--tag", f"localhost/{name}", ROOT)
    _run(*buildah, "push", "--quiet", f"localhost/{name}", f"docker-archive:{archive}:{name}")
    _run(*buildah, "rmi", f"localhost/{name}")
    if len(_run(*buildah, "images", "--all", "--quiet").split()) > KEPT_LAYERS:
        _run(*buildah, "rmi", "--prune")


def _debootstrapped(cache: Path) -> str:
    """The name of a base in buildah's storage, made if it is not there yet."""
    base = f"localhost/debian:{SUITE}-{_key(INCLUDED)}"
    buildah = _buildah(cache)
    if base not in _run(*buildah, "images", "--format", "{{.Name}}:{{.Tag}}").split():
        _say(f"making a Debian {SUITE} with debootstrap (1 minute, once)")
        with tempfile.TemporaryDirectory(dir=cache, prefix="building-") as scratch:
            _run("debootstrap", "--variant=minbase", f"--include={INCLUDED}", SUITE, Path(scratch, "root"))
            Path(scratch, "Dockerfile").write_text("FROM scratch\nCOPY root/ /\n")
            _run(*buildah, "build", "--quiet", "--isolation", "chroot", "--tag", base, scratch)
    return base


def _buildah(cache: Path) -> list[str | Path]:
    # A storage of its own, so that nobody else's images are touched. vfs would do without a kernel's overlay, and
    # copy every file of each layer: four times slower, and gigabytes.
    driver = "overlay" if "overlay" in Path("/proc/filesystems").read_text().split() else "vfs"
    return ["buildah", "--storage-driver", driver, "--root", cache / "storage", "--runroot", cache / "storage-run"]


def _engine() -> str:
    for engine in ("docker", "podman"):
        if shutil.which(engine) and subprocess.run([engine, "info"], capture_output=True, check=False).returncode == 0:
            return engine
    missing = [program for program in ("buildah", "debootstrap") if shutil.which(program) is None]
    if missing:
        raise BuildError(f"neither docker nor podman runs here, and {' and '.join(missing)} to do without is missing")
    if os.geteuid() != 0:
        raise BuildError("neither docker nor podman runs here, and buildah and debootstrap would need root")
    return "buildah"


def _fetch_inputs(cache: Path) -> None:
    """Fill dist/inputs: our own wheel, and for each plane its lock and the wheels that it names."""
    fresh = INPUTS.with_name("inputs.new")
    shutil.rmtree(fresh, ignore_errors=True)
    shutil.copytree(_own_wheel(cache), fresh / "own")
    for plane in PLANES:
        lock = ROOT / "requirements" / f"{plane}.txt"
        shutil.copytree(_wheels(lock, cache=cache), fresh / plane)
        shutil.copy(lock, fresh / plane / "requirements.txt")
    shutil.rmtree(INPUTS, ignore_errors=True)
    fresh.replace(INPUTS)


def _wheels(lock: Path, *, cache: Path) -> Path:
    # As wheels for Linux call it: macOS has a name of its own for what Docker runs there.
    architecture = {"arm64": "aarch64"}.get(platform.machine(), platform.machine())
    folder = cache / f"wheels-{_key(lock.read_text(), PYTHON, architecture)}"
    if not folder.is_dir():
        _say(f"fetching the wheels of {lock.relative_to(ROOT)}")
        older = ["manylinux1", "manylinux2010", "manylinux2014"]
        tags = [*older, *(f"manylinux_2_{minor}" for minor in range(5, GLIBC + 1))]
        platforms = [f"--platform={tag}_{architecture}" for tag in tags]
        with tempfile.TemporaryDirectory(dir=cache, prefix="building-") as scratch:
            _run(
                *(sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"),
                *("--no-deps", "--require-hashes", "--requirement", lock, "--dest", Path(scratch, "wheels")),
                *("--only-binary=:all:", "--implementation=cp", f"--python-version={PYTHON}", *platforms),
            )
            Path(scratch, "wheels").replace(folder)
    return folder


def _own_wheel(cache: Path) -> Path:
    """This tree's wheel; of a copy, for the build writes generated code beside the sources."""
    folder = cache / f"pointsman-{_digest(*(ROOT / source for source in SOURCES))}"
    if not folder.is_dir():
        with tempfile.TemporaryDirectory(dir=cache, prefix="building-") as scratch:
            for source in SOURCES:
                path, copy = ROOT / source, Path(scratch, "tree", source)
                copy.parent.mkdir(exist_ok=True)
                if path.is_dir():
                    shutil.copytree(path, copy, ignore=shutil.ignore_patterns("__pycache__"))
                else:
                    shutil.copy(path, copy)
            hatchling = (sys.executable, "-m", "hatchling", "build", "-t", "wheel")
            _run(*hatchling, "-d", Path(scratch, "wheel"), cwd=copy.parent)
            for old in cache.glob("pointsman-*"):
                shutil.rmtree(old)
            Path(scratch, "wheel").replace(folder)
    return folder


def _run(*command: str | Path, cwd: Path | None = None) -> str:
    # Docker would add a record of the build, in whose company older loaders of archives lose the image.
    environ = {**os.environ, "SOURCE_DATE_EPOCH": EPOCH, "BUILDX_NO_DEFAULT_ATTESTATIONS": "1"}
    done = subprocess.run(command, cwd=cwd, env=environ, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        said = "\n  ".join([*done.stdout.splitlines()[-15:], *done.stderr.splitlines()[-15:]])
        raise BuildError(f"{' '.join(map(str, command))} ended with {done.returncode}:\n  {said}")
    return done.stdout


def _digest(*paths: Path) -> str:
    sums = hashlib.sha256()
    for path in paths:
        files = [path] if path.is_file() else sorted(path.rglob("*"))
        for file in files:
            if file.is_file() and "__pycache__" not in file.parts:
                sums.update(f"{file.relative_to(ROOT)}\n".encode())
                sums.update(hashlib.sha256(file.read_bytes()).digest())
    return sums.hexdigest()[:12]


def _key(*parts: str) -> str:
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:12]


def _version() -> str:
    with (ROOT / "pyproject.toml").open("rb") as file:
        return str(tomllib.load(file)["project"]["version"])


def _cache() -> Path:
    shared = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache", "pointsman")
    folder = Path(os.environ.get("POINTSMAN_CACHE") or shared).expanduser().absolute() / "images"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@contextmanager
def _locked(file: Path) -> Iterator[None]:
    with file.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # two builds at once would share dist/inputs and the storage
        for left_by_a_killed_build in file.parent.glob("building-*"):
            shutil.rmtree(left_by_a_killed_build, ignore_errors=True)
        yield


def _say(line: str) -> None:
    sys.stderr.write(f"images: {line}\n")
    sys.stderr.flush()


if __name__ == "__main__":
    main()
