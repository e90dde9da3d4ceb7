"""`pointsman check`."""

import json
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from pointsman.checking import Report, report
from pointsman.manifests import judge, read
from pointsman.worlds import Generations, world_of
from pointsman_operator.schema import definitions


def check(files: Sequence[Path], *, namespace: str, as_json: bool, out: Console, err: Console) -> bool:
    """Print the verdict, and give whether all is well.

    Raises:
        ManifestError: the files cannot be read.
    """
    manifests = judge(read(files), definitions=definitions(), namespace=namespace)
    result = report(manifests, world_of(manifests, secrets=(), generations=Generations(), version=1))
    if as_json:
        out.print_json(json.dumps(_plain(result)))
    else:
        _print(result, out=out, err=err)
    return result.good


def _print(result: Report, *, out: Console, err: Console) -> None:
    for answer in result.refused:
        err.print(answer)
    for finding in result.findings:
        if not finding.problems:
            out.print(f"{finding} valid")
        for problem in finding.problems:
            err.print(f"{finding} not ready: {problem.reason}: {problem}")
    for other in result.others:
        out.print(f"{other} not checked: it is not of the group pointsman.dev")


def _plain(result: Report) -> dict[str, object]:
    return {
        "valid": result.good,
        "refused": list(result.refused),
        "resources": [
            {
                "kind": finding.kind,
                "namespace": finding.key.namespace,
                "name": finding.key.name,
                "problems": [
                    {"reason": each.reason, "path": each.path, "message": each.message} for each in finding.problems
                ],
            }
            for finding in result.findings
        ],
        "notChecked": list(result.others),
    }
