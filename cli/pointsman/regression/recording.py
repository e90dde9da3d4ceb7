"""A result, written to a policy by the user's own kubectl and with the user's own rights."""

import json
import re
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from pointsman.errors import UserError
from pointsman_operator.resources.kinds import GROUP, PLURALS, REGRESSION_PREFIX, Kind

_SECONDS: Final = 60
_NAME: Final = re.compile(r"[a-z0-9]([-a-z0-9.]*[a-z0-9])?")


@dataclass(frozen=True, kw_only=True, slots=True)
class Recorder:
    """A policy in a cluster, and the kubectl that reaches it."""

    namespace: str
    name: str
    kubectl: str

    def write(self, suite: str, result: Mapping[str, Any]) -> str:
        """Annotate the policy with a suite's result. Gives kubectl's own answer.

        Raises:
            UserError: kubectl refuses, or cannot reach the cluster; it says why.
        """
        text = json.dumps(result, separators=(",", ":"))
        resource = f"{PLURALS[Kind.POLICY]}.{GROUP}"
        command = [
            self.kubectl,
            "annotate",
            "--overwrite",
            f"--namespace={self.namespace}",
            resource,
            self.name,
            f"{REGRESSION_PREFIX}{suite}={text}",
        ]
        try:
            done = subprocess.run(  # noqa: S603 - no shell, and names that were looked at
                command, capture_output=True, text=True, errors="replace", timeout=_SECONDS, check=False
            )
        except subprocess.TimeoutExpired:
            raise self._not_written(f"kubectl has not answered within {_SECONDS} s") from None
        except OSError as error:
            raise self._not_written(f"{self.kubectl} cannot be started: {error.strerror}") from error
        if done.returncode:
            # Its last line: those before it are its library's log.
            said = done.stderr.strip().rpartition("\n")[2]
            raise self._not_written(f"kubectl says: {said or f'exit code {done.returncode}'}")
        return done.stdout.strip()

    def _not_written(self, why: str) -> UserError:
        return UserError(f"the result was not recorded at {self.namespace}/{self.name}: {why}")


def recorder(record: str) -> Recorder:
    """The recorder for `NAMESPACE/NAME`.

    Raises:
        UserError: it names no policy, or there is no kubectl.
    """
    namespace, _, name = record.partition("/")
    if not (_NAME.fullmatch(namespace) and _NAME.fullmatch(name)):
        raise UserError(f"--record {record} names no policy: write NAMESPACE/NAME, such as shop/support")
    # Looked for before any model is called: those calls are paid.
    kubectl = shutil.which("kubectl")
    if kubectl is None:
        raise UserError("--record needs kubectl, and there is none on the PATH: install it, or leave --record out")
    return Recorder(namespace=namespace, name=name, kubectl=kubectl)
