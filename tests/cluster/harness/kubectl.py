"""kubectl as a function: one binary, one kubeconfig, answers as text."""

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path


class KubectlError(Exception):
    """kubectl refused or hung; the message holds what it said."""


@dataclass(frozen=True, kw_only=True)
class Kubectl:
    """Call it with kubectl's arguments. A copy with another `kubeconfig` acts as another user."""

    binary: Path
    kubeconfig: Path
    cache: Path

    def __call__(
        self, *args: str | Path, stdin: str | None = None, check: bool = True, seconds: float = 30
    ) -> subprocess.CompletedProcess[str]:
        """Run kubectl; raise KubectlError if it hangs or, unless `check` is off, if it ends with an error."""
        line = " ".join(["kubectl", *map(str, args)])
        # By environment and not by flags, which kubectl refuses in front of a plugin's name. The discovery
        # cache is the run's own, or a port that an earlier run used would answer with that run's resources.
        environ = {"KUBECONFIG": str(self.kubeconfig), "KUBECACHEDIR": str(self.cache), "KUBERC": "off"}
        try:
            done = subprocess.run(
                [self.binary, *args],
                env={**os.environ, **environ},
                input=stdin or "",
                capture_output=True,
                text=True,
                timeout=seconds,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise KubectlError(f"{line} gave no answer within {seconds:g} s") from error
        if check and done.returncode != 0:
            raise KubectlError(f"{line} ended with {done.returncode}: {done.stderr.strip()}")
        return done
