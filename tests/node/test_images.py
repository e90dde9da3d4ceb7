"""The images are small, hold what they need and nothing else, and come out the same when they are built again."""

import json
import re
import subprocess
import sys
import tarfile
from collections.abc import Mapping
from pathlib import Path

import pytest

from cluster.harness.node.images import BUILD, Image

LOCKS = Path(__file__).resolve().parents[2] / "requirements"
PLANES = ("operator", "sidecar", "examples")


def archive_of(built_images: Mapping[str, Image], plane: str) -> Path:
    archive = built_images[plane].archive
    if archive is None:
        pytest.skip("the images come from a registry")
    return archive


def layers(archive: Path) -> list[tarfile.TarInfo]:
    """Every file of every layer."""
    with tarfile.open(archive) as tar:
        manifest = json.load(tar.extractfile("manifest.json") or sys.exit())[0]
        found = []
        for layer in manifest["Layers"]:
            with tarfile.open(fileobj=tar.extractfile(layer)) as files:
                found += files.getmembers()
        return found


def config_of(archive: Path) -> dict[str, object]:
    with tarfile.open(archive) as tar:
        manifest = json.load(tar.extractfile("manifest.json") or sys.exit())[0]
        config: dict[str, object] = json.load(tar.extractfile(manifest["Config"]) or sys.exit())["config"]
        return config


@pytest.mark.parametrize("plane", PLANES)
def test_an_image_is_no_larger_than_stated(built_images: Mapping[str, Image], plane: str) -> None:
    stated = re.search(rf'^LARGEST = .*"{plane}": (\d+)', BUILD.read_text(), re.MULTILINE)
    assert stated is not None

    unpacked = sum(file.size for file in layers(archive_of(built_images, plane)))

    assert unpacked / 1e6 <= int(stated[1])


@pytest.mark.parametrize("plane", PLANES)
def test_an_image_has_no_program_but_python_and_nothing_that_gives_privileges(
    built_images: Mapping[str, Image], plane: str
) -> None:
    files = layers(archive_of(built_images, plane))

    programs = {file.name for file in files if re.match(r"(usr/)?(local/)?s?bin/", file.name)}
    assert programs == {"usr/bin/python3", "usr/bin/python3.13"}
    assert [file.name for file in files if file.mode & 0o6000] == []
    assert [file.name for file in files if re.search(r"/(pip|setuptools|tests)/", file.name)] == []


@pytest.mark.parametrize("plane", PLANES)
def test_an_image_says_what_it_is_and_never_runs_as_root(built_images: Mapping[str, Image], plane: str) -> None:
    config = config_of(archive_of(built_images, plane))

    assert config["User"] == "65532:65532"
    assert config["Entrypoint"] == ["python3", *(["-m", f"pointsman_{plane}"] if plane != "examples" else [])]
    labels = config["Labels"]
    assert isinstance(labels, dict)
    assert labels["org.opencontainers.image.title"] == f"pointsman-{plane}"
    assert labels["org.opencontainers.image.version"] == built_images[plane].name.partition(":")[2]


@pytest.mark.parametrize("plane", PLANES)
def test_all_bytecode_is_there_and_valid_whatever_the_time_of_its_source(
    built_images: Mapping[str, Image], plane: str
) -> None:
    names = {file.name for file in layers(archive_of(built_images, plane)) if file.isfile()}
    own = {name for name in names if re.search(r"/(pointsman_\w+|asyncio|grpc)/[^/]+\.py$", name)}

    def compiled(name: str) -> str:
        folder, _, file = name.rpartition("/")
        return f"{folder}/__pycache__/{file.removesuffix('.py')}.cpython-313.pyc"

    assert len(own) > 20
    assert sorted(name for name in own if compiled(name) not in names) == []


@pytest.mark.parametrize("plane", PLANES)
def test_an_image_holds_the_versions_that_the_tests_run_with(plane: str) -> None:
    def pins(lock: str) -> set[str]:
        return set(re.findall(r"^[\w.-]+==[^\s;]+", (LOCKS / lock).read_text(), re.MULTILINE))

    assert pins(f"{plane}.txt") - pins("dev.txt") == set()


@pytest.mark.usefixtures("own_node")  # other engines than its buildah write times of their own
def test_the_same_inputs_make_the_same_image(built_images: Mapping[str, Image]) -> None:
    archive = archive_of(built_images, "sidecar")

    again = subprocess.run(
        [sys.executable, BUILD, "--engine", "buildah", "--plane", "sidecar", "--again"],
        capture_output=True,
        text=True,
        check=False,
    )

    assert again.stderr == "images: building pointsman-sidecar:0.1.0 once more, without a cache\n"
    assert again.stdout.split()[-1] == str(archive)
    assert again.returncode == 0
