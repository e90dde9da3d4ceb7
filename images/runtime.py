"""Copies Python and what it needs to run out of a Debian, into a folder that becomes an image's whole file system.

Runs inside the image build, with the base's own Python: `python3 runtime.py FOLDER`. What is copied are the files of
Debian's packages, with their licences and their entries in dpkg's status, by which scanners know them; no shell, no
package manager and no program but Python.
"""

import compileall
import py_compile
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

WANTED = ("python3", "base-files", "ca-certificates", "libstdc++6", "tzdata")
# They are needed to install or to configure a package, and never to run Python. What only they need stays out too.
NEVER = {"awk", "debconf", "dpkg", "mawk", "openssl", "readline-common"}

LEFT_OUT = re.compile(
    r"""
    /usr/s?bin/(?!python3(\.\d+)?$)                     # programs
    | /usr/share/doc/(?!.*/copyright$).*/               # documentation, but for licences
    | /usr/share/(man|info|locale|lintian|applications|bash-completion|binfmts|ca-certificates|doc-base|gcc|gdb
                  |menu|perl5|pixmaps|python3|python3-app-install)/
    | /usr/lib/python3[^/]*/(ensurepip|idlelib|lib2to3|pydoc_data|test|tkinter|turtledemo|unittest/test)/
    | /usr/lib/[^/]+/(audit|gconv)/                     # character sets that Python has itself
    | .*/lib-dynload/_(xx|ctypes_)?test[^/]*               # tests of Python itself
    | /(boot|dev|home|media|mnt|opt|proc|run|srv|sys|usr/(games|include|src)
       |var/(backups|cache|local|mail|spool))/
    | /(etc|usr/lib)/(cron|init|kernel|rc|skel|systemd|update-motd|valgrind|debug|sysusers|tmpfiles)
    | .*/__pycache__/                                   # compiled anew, without the time of its source
    """,
    re.VERBOSE,
)
# Not in any package: the package's installation made them.
MADE = ("/etc/nsswitch.conf", "/etc/ssl/certs/ca-certificates.crt")
USER = "nonroot"
UID = 65532


def main() -> None:
    """Fill the folder."""
    target = Path(sys.argv[1])
    paragraphs = _installed()
    packages = sorted(_closure(paragraphs))
    for link in ("bin", "lib", "lib64", "sbin"):
        if Path("/", link).is_symlink():
            _copy(Path("/", link), target)
    for package in packages:
        for file in _files(package):
            _copy(file, target)
    for name in MADE:
        _copy(Path(name), target)
    _write(target / "etc/passwd", f"root:x:0:0::/:/sbin/nologin\n{USER}:x:{UID}:{UID}::/:/sbin/nologin\n")
    _write(target / "etc/group", f"root:x:0:\n{USER}:x:{UID}:\n")
    _write(target / "var/lib/dpkg/status", "\n\n".join(paragraphs[package] for package in packages) + "\n")
    # Where OpenSSL looks by default; Debian brings this link with the openssl program only.
    certificates = target / "usr/lib/ssl/cert.pem"
    certificates.parent.mkdir(exist_ok=True)
    certificates.symlink_to("/etc/ssl/certs/ca-certificates.crt")
    (target / "tmp").mkdir()
    (target / "tmp").chmod(0o1777)
    for library in sorted(target.glob("usr/lib/python3.*")):
        # Valid whatever the source's time, since the image's times are all the same and its file system is read-only.
        unchecked = py_compile.PycInvalidationMode.UNCHECKED_HASH
        compileall.compile_dir(library, quiet=1, stripdir=target, prependdir="/", invalidation_mode=unchecked)


def _installed() -> dict[str, str]:
    """Dpkg's paragraph of each package."""
    paragraphs = Path("/var/lib/dpkg/status").read_text().strip().split("\n\n")
    return {_field(paragraph, "Package"): paragraph for paragraph in paragraphs}


def _closure(paragraphs: dict[str, str]) -> set[str]:
    provided = {
        name: package
        for package, paragraph in sorted(paragraphs.items())
        for name in _names(_field(paragraph, "Provides").replace("|", ","))
    }
    found: set[str] = set()
    waiting = list(WANTED)
    while waiting:
        package = waiting.pop()
        if package in found or package in NEVER:
            continue
        found.add(package)
        for field in ("Depends", "Pre-Depends"):
            for alternatives in _field(paragraphs[package], field).split(","):
                for name in _names(alternatives.replace("|", ",")):
                    if name in NEVER:
                        break
                    if name in paragraphs or name in provided:
                        waiting.append(name if name in paragraphs else provided[name])
                        break
    return found


def _field(paragraph: str, name: str) -> str:
    found = re.search(rf"^{name}: (.*)$", paragraph, re.MULTILINE)
    return found[1] if found else ""


def _names(listed: str) -> list[str]:
    return [name for entry in listed.split(",") if (name := re.split(r"[ (:]", entry.strip())[0])]


def _files(package: str) -> Iterator[Path]:
    listed = subprocess.run(["dpkg", "--listfiles", package], capture_output=True, text=True, check=True)
    for line in listed.stdout.splitlines():
        path = Path(line)
        # Debian links /lib to /usr/lib, and its packages may name either.
        file = path.parent.resolve() / path.name
        if not LEFT_OUT.match(str(file)) and (file.is_symlink() or file.is_file()):
            yield file


def _copy(file: Path, target: Path) -> None:
    copy = target / file.relative_to("/")
    copy.parent.mkdir(parents=True, exist_ok=True)
    if not copy.is_symlink() and not copy.exists():
        shutil.copy2(file, copy, follow_symlinks=False)


def _write(file: Path, text: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)


if __name__ == "__main__":
    main()
