"""Installs wheels that are at hand into a folder that becomes a layer of an image.

Runs inside the image build, with the base's own Python: `python3 install.py WHEELS FOLDER [PACKAGE …]`, where the
packages are those to leave out. It asks no package index: the wheels were fetched before, by the hashes of the lock
beside them, which pip checks once more here.
"""

import compileall
import py_compile
import re
import shutil
import site
import subprocess
import sys
from pathlib import Path

# What no running program reads, a wheel's mistakes included. Its metadata and licences stay.
LEFT_OUT = (
    "bin",
    "**/tests",
    "**/*.pyi",
    "**/*.pxd",
    "**/*.pyx",
    "**/*.c",
    "**/*.h",
    "bazel-project",  # cel_expr_python's own build
    "cel_expr_python/ext",  # extensions of CEL, of which the resources' rules use none: 37 MB
    "kubernetes/client/api/*_api.py",  # of the client that blocks: kopf asks for its models alone
)
# A function for each call to Kubernetes, twice: 50 MB of bytecode, and the operator's client needs none of them.
NOT_COMPILED = re.compile(r"/kubernetes/(aio/)?client/(api|models)/")


def main() -> None:
    """Install, leave out what is not needed, and compile the rest."""
    wheels, target = Path(sys.argv[1]), Path(sys.argv[2])
    # Where this Debian's Python looks for what is not Debian's: no path has to be set for it.
    packages = target / Path(site.getsitepackages()[0]).relative_to("/")
    lock = wheels / "requirements.txt"
    what: list[str | Path] = (
        ["--require-hashes", "--requirement", lock] if lock.exists() else ["--no-deps", *sorted(wheels.glob("*.whl"))]
    )
    command: list[str | Path] = [
        *(sys.executable, "-m", "pip", "install", "--quiet", "--no-cache-dir", "--root-user-action=ignore"),
        *("--no-compile", "--no-index", "--find-links", wheels, "--target", packages),
    ]
    subprocess.run([*command, *what], check=True)
    for path in sorted(path for pattern in (*LEFT_OUT, *sys.argv[3:]) for path in packages.glob(pattern)):
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
    # Valid whatever the source's time, since the image's times are all the same and its file system is read-only.
    compileall.compile_dir(
        packages,
        quiet=1,
        rx=NOT_COMPILED,
        stripdir=target,
        prependdir="/",
        invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH,
    )


if __name__ == "__main__":
    main()
