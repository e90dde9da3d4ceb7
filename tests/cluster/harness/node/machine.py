"""What a machine must have to carry a node: root, a Linux kernel's namespaces, and programs that Debian packages.

Says what is missing and installs it; starts nothing.
By hand: `PYTHONPATH=tests python -m cluster.harness.node.machine` installs what is missing.
"""

import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Mapping

from cluster.harness.binaries import Report

# Each program by the Debian package that brings it. None is pinned: whatever the machine's Debian has will do.
PROGRAMS = {
    "containerd": "containerd",
    "runc": "runc",
    "/usr/lib/cni/bridge": "containernetworking-plugins",
    "iptables": "iptables",
    "nft": "nftables",
    "conntrack": "conntrack",
    "socat": "socat",
    "ip": "iproute2",
    "openssl": "openssl",
    "buildah": "buildah",
    "debootstrap": "debootstrap",
}
SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


class MachineError(Exception):
    """This machine cannot carry a node; the message says why, and what would help."""


class MachineUnfitError(MachineError):
    """It never can, as it is: not Linux, or not root. Tests are skipped for that, not failed."""


def path_with_system_folders(environ: Mapping[str, str]) -> str:
    """The search path with the folders of system programs, which a user's own may lack."""
    return os.pathsep.join(filter(None, [environ.get("PATH"), SYSTEM_PATH]))


def check_fitness() -> None:
    """Raise MachineUnfitError unless this is Linux and we are root."""
    if platform.system() != "Linux":
        raise MachineUnfitError(f"a node needs Linux, and this is {platform.system()}")
    if os.geteuid() != 0:
        raise MachineUnfitError("a node needs root: it makes namespaces, cgroups and mounts of its own")


def missing_packages(environ: Mapping[str, str]) -> list[str]:
    """The Debian packages whose programs this machine lacks."""
    path = path_with_system_folders(environ)
    return [package for program, package in PROGRAMS.items() if shutil.which(program, path=path) is None]


def install_missing(environ: Mapping[str, str], *, report: Report) -> None:
    """Install what is missing by apt-get; raise MachineError where that cannot be done."""
    check_fitness()
    packages = missing_packages(environ)
    if not packages:
        return
    wanted = " ".join(packages)
    advice = f"apt-get install --no-install-recommends {wanted}"
    if shutil.which("apt-get", path=path_with_system_folders(environ)) is None:
        raise MachineError(f"a node needs what Debian's packages {wanted} bring, and there is no apt-get here")
    report(f"installing Debian packages: {wanted}")
    for command in (["update"], ["install", "--yes", "--no-install-recommends", *packages]):
        done = subprocess.run(
            ["apt-get", "--quiet", *command],
            env={**environ, "DEBIAN_FRONTEND": "noninteractive"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            said = "\n  ".join(done.stderr.strip().splitlines()[-5:])
            raise MachineError(f"apt-get {command[0]} failed; try `{advice}` by hand. It said:\n  {said}")
    if still := missing_packages(environ):
        raise MachineError(f"{', '.join(still)}: installed, but without the programs that are looked for")
    service = "; its service may run now, and the node does not use it" if "containerd" in packages else ""
    report(f"installed {wanted}{service}")


def report_on_stderr(line: str) -> None:
    """Show a line of progress to whoever waits."""
    sys.stderr.write(f"node: {line}\n")
    sys.stderr.flush()


def main() -> None:
    """Install what is missing."""
    try:
        install_missing(os.environ, report=report_on_stderr)
    except MachineError as error:
        sys.exit(f"node: {error}")
    sys.stdout.write("This machine has what a node needs.\n")


if __name__ == "__main__":
    main()
