"""helm as a function: one binary, one kubeconfig, its caches in the run's own folder."""

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path


class HelmError(Exception):
    """Helm refused or hung; the message holds what it said."""


@dataclass(frozen=True, kw_only=True)
class Helm:
    """Call it with helm's arguments."""

    binary: Path
    kubeconfig: Path
    folder: Path

    @property
    def environ(self) -> dict[str, str]:
        """What whoever runs this helm by itself has to set."""
        folders = {f"HELM_{kind}_HOME": str(self.folder / kind.lower()) for kind in ("CACHE", "CONFIG", "DATA")}
        return {**folders, "KUBECONFIG": str(self.kubeconfig)}

    def __call__(self, *args: str | Path, check: bool = True, seconds: float = 120) -> subprocess.CompletedProcess[str]:
        """Run helm; raise HelmError if it hangs or, unless `check` is off, if it ends with an error."""
        line = " ".join(["helm", *map(str, args)])
        try:
            done = subprocess.run(
                [self.binary, *args],
                env={**os.environ, **self.environ},
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=seconds,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise HelmError(f"{line} gave no answer within {seconds:g} s") from error
        if check and done.returncode != 0:
            raise HelmError(f"{line} ended with {done.returncode}: {done.stderr.strip()}")
        return done
