"""Real processes: started with a log, awaited, stopped, and gone when the run that started them is gone.

Knows nothing of Kubernetes and nothing of pytest.
"""

import contextlib
import http.client
import os
import signal
import ssl
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

PAUSE = 0.05  # seconds between two looks at a condition

# A shell that waits for the end of its input, which is the end of this Python process however it ends
# (a SIGKILL too), and then kills the group that it was given. PR_SET_PDEATHSIG would do the same but for one
# thing: it fires when the *thread* that started the process ends, and tests restart servers from workers.
GUARD = 'read -r _; kill -s KILL -- "-$1"'


class ProcessError(Exception):
    """A process ended early or did not get ready; the message holds the end of its log."""


class Process:
    """One real process, in a process group of its own, its output appended to a log file."""

    def __init__(
        self,
        name: str,
        command: Sequence[str | Path],
        *,
        log: Path,
        cwd: Path | None = None,
        env: Mapping[str, str] | None = None,
    ) -> None:
        self.name = name
        self.log = log
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                command,
                cwd=cwd,
                env=env,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                # Out of reach of the terminal's Ctrl-C: whoever started it stops it, in the right order.
                start_new_session=True,
            )
        self._guard = subprocess.Popen(
            ["sh", "-c", GUARD, "guard", str(self.pid)], stdin=subprocess.PIPE, start_new_session=True
        )
        self._stopped = False

    @property
    def pid(self) -> int:
        """The process's id, which is its group's too."""
        return self._process.pid

    def exit_code(self, *, within: float = 0) -> int | None:
        """Wait up to `within` seconds for the process to end by itself; None if it still runs."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            return self._process.wait(within)
        return None

    def wait_until_ready(self, ready: Callable[[], bool], *, seconds: float) -> None:
        """Return once `ready` says so; if the process ends before, or the time is up, kill it and raise."""
        deadline = time.monotonic() + seconds
        with contextlib.ExitStack() as on_error:
            on_error.callback(self.kill)
            while not ready():
                code = self.exit_code(within=PAUSE)
                if code is not None:
                    raise ProcessError(f"{self.name} ended with {code} before it was ready. {self.end_of_log()}")
                if time.monotonic() > deadline:
                    raise ProcessError(f"{self.name} was not ready within {seconds:g} s. {self.end_of_log()}")
            on_error.pop_all()

    def end_of_log(self, *, lines: int = 20) -> str:
        """The last lines of the log, under a line that names its file."""
        tail = self.log.read_text(errors="replace").splitlines()[-lines:]
        return "\n  ".join([f"The end of {self.log}:", *tail])

    def stop(self, *, grace: float = 10) -> None:
        """Ask the process to end, and kill what is left of its group after `grace` seconds."""
        if not self._stopped:
            self._signal(signal.SIGTERM)
            self.exit_code(within=grace)
            self.kill()

    def kill(self) -> None:
        """Kill the process and its group at once, as a crash would."""
        if self._stopped:
            return
        self._stopped = True
        self._signal(signal.SIGKILL)
        self._process.wait()
        self._guard.kill()
        self._guard.communicate()

    def _signal(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, number)


def wait_until(condition: Callable[[], bool], *, seconds: float, what: str) -> None:
    """Return once the condition holds; raise TimeoutError, saying `what` was awaited, after `seconds`."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"waited {seconds:g} s in vain until {what}")
        time.sleep(PAUSE)


def answers_ok(port: int, path: str, *, ca_file: Path | None = None, headers: Mapping[str, str] | None = None) -> bool:
    """Whether 127.0.0.1 answers a GET with 200: over TLS if a CA is named, and never through a proxy."""
    connection: http.client.HTTPConnection | None = None
    try:
        if ca_file is None:
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=2)
        else:  # a server that makes its own certificate may not have written it yet: an OSError like the rest
            context = ssl.create_default_context(cafile=ca_file)
            connection = http.client.HTTPSConnection("127.0.0.1", port, timeout=2, context=context)
        connection.request("GET", path, headers=headers or {})
        return connection.getresponse().status == http.HTTPStatus.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        if connection is not None:
            connection.close()
