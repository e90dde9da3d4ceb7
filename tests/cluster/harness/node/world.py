"""The node's own small world: namespaces for network, mounts and processes, and cgroups under one name.

Knows how to enter it and how it ends; what runs in it is `node`'s. Nothing outside of it changes: not the network,
not a mount, no file but those of its data folder, no kernel setting. It ends with its holder, its first process,
even if that is killed.
"""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from cluster.harness.node import residue
from cluster.harness.node.residue import Residue
from cluster.harness.processes import Process

# Where the data folder is seen inside: a short name, for sockets have no room for a long one.
DATA = Path("/run/pointsman")
ADDRESS = "10.244.0.1"
POD_NETWORK = "10.244.0.0/24"
BRIDGE = "cni0"
OPENS_WITHIN = 20
GONE_WITHIN = 20

# The values that kubelet wants. It would write them for the whole machine; so it is shown files that hold them.
KERNEL_SETTINGS = {
    "vm/overcommit_memory": 1,
    "vm/panic_on_oom": 0,
    "kernel/panic": 10,
    "kernel/panic_on_oops": 1,
    "kernel/keys/root_maxkeys": 1_000_000,
    "kernel/keys/root_maxbytes": 25_000_000,
}

OPEN = f"""
set -e
mount -t tmpfs -o mode=0755 tmpfs /run
mkdir {DATA} /run/over /run/over/upper /run/over/work /run/settings
mount --bind "$1" {DATA}
# What kubelet, containerd and the network plugins write under /var is for this node alone, and gone with it.
mount -t overlay -o lowerdir=/var,upperdir=/run/over/upper,workdir=/run/over/work overlay /var
while read -r setting value; do
    file=/run/settings/$(echo "$setting" | tr / .)
    echo "$value" >"$file"
    mount --bind "$file" "/proc/sys/$setting"
done <<EOF
{chr(10).join(f"{setting} {value}" for setting, value in KERNEL_SETTINGS.items())}
EOF
echo 1 >/proc/sys/net/ipv4/ip_forward
ip link set lo up
ip link add {BRIDGE} type bridge
ip address add {ADDRESS}/24 dev {BRIDGE}
ip link set {BRIDGE} up
ip route add default dev {BRIDGE}
mount --make-rshared /
echo open
exec "$2"
"""


def kill(process: Process) -> None:
    """Kill what was started in a world, as a crash would, and wait until it and what it held are gone.

    The process that we know is one outside, which waits for its child inside. Only it can see that child off.
    """
    inside = _child_of(process.pid)
    if inside is not None:
        with suppress(ProcessLookupError):
            os.kill(inside, signal.SIGKILL)
        process.exit_code(within=GONE_WITHIN)
    process.kill()


class World:
    """An open world. Its processes are started with `enter` in front of their command."""

    def __init__(self, *, name: str, data: Path, holder: Process) -> None:
        self.name = name
        self.data = data
        self._holder = holder

    def enter(self, command: Sequence[str | Path], *, network_only: bool = False) -> list[str | Path]:
        """The command that runs this command inside; with `network_only` it sees the machine's files and processes."""
        namespaces = f"/proc/{self._holder.pid}/ns"
        inside = [f"--mount={namespaces}/mnt", f"--pid={namespaces}/pid_for_children"]
        return ["nsenter", f"--net={namespaces}/net", *([] if network_only else inside), "--", *command]

    def end(self) -> None:
        """End it, and with it whatever runs inside."""
        kill(self._holder)


@contextmanager
def opened(*, name: str, data: Path, pause: Path, log: Path, records: Path, path: str) -> Iterator[World]:
    """Open a world, and end it and all that is in it at the end, or when this run is killed."""
    data.mkdir(parents=True)
    records.mkdir(parents=True, exist_ok=True)
    record = records / f"{name}.json"
    with ExitStack() as at_end:
        holder = Process(
            "the node's namespaces",
            [
                *("unshare", "--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"),
                *("sh", "-c", OPEN, "sh", data, pause),
            ],
            log=log,
            env={"PATH": path},
        )
        at_end.callback(kill, holder)
        born = residue.started(holder.pid)
        left = Residue(name=name, data=str(data), holder=holder.pid, holder_started=born or 0)
        at_end.enter_context(residue.recorded(left, record=record))
        at_end.enter_context(_guarded(record))
        for cgroup in residue.cgroups_of(name):
            cgroup.mkdir()
        holder.wait_until_ready(lambda: "open" in log.read_text().splitlines(), seconds=OPENS_WITHIN)
        yield World(name=name, data=data, holder=holder)


def _child_of(pid: int) -> int | None:
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            if int(stat.read_text().rpartition(")")[2].split()[1]) == pid:
                return int(stat.parent.name)
    return None


@contextmanager
def _guarded(record: Path) -> Iterator[None]:
    guard = subprocess.Popen(
        [sys.executable, residue.__file__, record], stdin=subprocess.PIPE, start_new_session=True, cwd="/"
    )
    try:
        yield
    finally:
        guard.kill()
        guard.communicate()
