"""Whole pods before and after injection, to be read.

`PYTHONPATH=tests python -m pure.operator.golden_pods` writes the latter anew; their diff is what users will see of a
change.
"""

from pathlib import Path
from typing import Any

import yaml

from pointsman_operator.inject import Injected, NotWanted, Refused, patch
from pure.operator.pods import SETTINGS, Json, patched

GOLDENS = Path(__file__).resolve().parents[2] / "golden" / "inject"
NAMES = sorted(file.name.removesuffix(".in.yaml") for file in GOLDENS.glob("*.in.yaml"))


class _Dumper(yaml.SafeDumper):
    """Writes text of several lines as it reads."""


def _text(dumper: _Dumper, value: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style="|" if "\n" in value else None)


_Dumper.add_representer(str, _text)


def case(name: str) -> Json:
    """A pod, under `pod`, and where it matters its namespace's labels, under `namespaceLabels`."""
    read: Json = yaml.safe_load((GOLDENS / f"{name}.in.yaml").read_text(encoding="utf-8"))
    return read


def golden(name: str) -> Json:
    """What is to become of the pod."""
    read: Json = yaml.safe_load(golden_path(name).read_text(encoding="utf-8"))
    return read


def golden_path(name: str) -> Path:
    """Where that is written."""
    return GOLDENS / f"{name}.out.yaml"


def outcome(given: Json) -> dict[str, Any]:
    """What becomes of the pod."""
    match patch(given["pod"], namespace_labels=given.get("namespaceLabels", {}), settings=SETTINGS):
        case Injected(patch=ops, warnings=warnings):
            return {"warnings": list(warnings), "pod": patched(given["pod"], ops)}
        case Refused(sentence=sentence):
            return {"refused": sentence}
        case NotWanted(reason=reason):
            return {"unchanged": reason}


def main() -> None:
    """Write the golden files anew."""
    for left in GOLDENS.glob("*.out.yaml"):
        left.unlink()
    for name in NAMES:
        text = yaml.dump(outcome(case(name)), Dumper=_Dumper, sort_keys=False, width=120)
        golden_path(name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
