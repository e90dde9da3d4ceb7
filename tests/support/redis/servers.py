"""A Redis server of a test's own: started, killed, started again on what it had written."""

import contextlib
import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import TracebackType
from typing import Self

from pointsman_operator.quotas import RedisEndpoint
from support.redis.binaries import Binary

DURABLE = {"appendonly": "yes", "appendfsync": "always", "maxmemory-policy": "noeviction"}
_SECONDS = 30.0


@dataclass
class RedisServer:
    """One server on a port of its own, in a folder of its own. `settings` are lines of its file."""

    binary: Binary
    folder: Path
    settings: dict[str, str] = field(default_factory=lambda: dict(DURABLE))
    tls: dict[str, str] | None = None
    port: int = 0
    process: subprocess.Popen[bytes] | None = None

    @property
    def endpoint(self) -> RedisEndpoint:
        """How the ledger reaches it."""
        return RedisEndpoint(host="127.0.0.1", port=self.port)

    def start(self) -> Self:
        """Start it, on the port that it had, and wait until it answers."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self.port = self.port or _free_port()
        ports = {"port": "0", "tls-port": str(self.port), **self.tls} if self.tls else {"port": str(self.port)}
        lines = {
            "bind": "127.0.0.1",
            "dir": str(self.folder),
            "save": '""',
            "enable-debug-command": "local",
            **ports,
            **self.settings,
        }
        file = self.folder / "redis.conf"
        file.write_text("".join(f"{name} {value}\n" for name, value in lines.items()))
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [self.binary.path, str(file)], env={**os.environ, **self.binary.environ}, stdout=log, stderr=log
            )
        self._await()
        return self

    def kill(self) -> None:
        """As by kill -9."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """In order."""
        self._end(signal.SIGTERM)

    def _end(self, number: signal.Signals) -> None:
        if self.process is not None:
            self.process.send_signal(signal.SIGCONT)
            self.process.send_signal(number)
            self.process.wait(_SECONDS)
            self.process = None

    def ask(self, *words: str) -> str:
        """Say something to it in plain text, and take the first of its answer."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=_SECONDS) as connection:
            parts = [f"*{len(words)}\r\n", *(f"${len(word.encode())}\r\n{word}\r\n" for word in words)]
            connection.sendall("".join(parts).encode())
            return connection.recv(65536).decode()

    def _await(self) -> None:
        until = time.monotonic() + _SECONDS
        while time.monotonic() < until:
            if self.process is not None and self.process.poll() is not None:
                raise RuntimeError(f"redis-server ended: {(self.folder / 'log').read_text()[-2000:]}")
            with contextlib.suppress(OSError):
                # With TLS it says nothing in plain text, but listens.
                if self.tls or not self.ask("PING").startswith("-LOADING"):
                    with socket.create_connection(("127.0.0.1", self.port)):
                        return
            time.sleep(0.01)
        raise RuntimeError("redis-server does not answer")

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()


@contextlib.contextmanager
def running(binary: Binary, folder: Path, **settings: str) -> Iterator[RedisServer]:
    """A server with these settings instead of those that the ledger needs; underscores stand for dashes."""
    changed = {name.replace("_", "-"): value for name, value in settings.items()}
    with RedisServer(binary=binary, folder=folder, settings={**DURABLE, **changed}) as server:
        yield server


def with_prefix(endpoint: RedisEndpoint, prefix: str) -> RedisEndpoint:
    """The same server, another ledger."""
    return replace(endpoint, prefix=prefix)


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])
