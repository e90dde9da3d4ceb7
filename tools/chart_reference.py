"""Writes what the charts say twice: `python tools/chart_reference.py` (make docs).

The table of values in charts/pointsman/README.md, from the comments of values.yaml; and the templates of
charts/pointsman-crds, which are the files of crds/ with the annotation that keeps them. With `--check` it writes
nothing and fails where a file is out of date.
"""

import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parent.parent
CHART = ROOT / "charts" / "pointsman"
CRD_TEMPLATES = ROOT / "charts" / "pointsman-crds" / "templates"
_BEGIN, _END = "<!-- values: written by `make docs` -->\n", "<!-- end of values -->\n"
_KEPT = "  annotations: {helm.sh/resource-policy: keep} # deleting a definition deletes every object of its kind\n"


def written() -> dict[Path, str]:
    """Every file, and what it should hold."""
    readme = (CHART / "README.md").read_text(encoding="utf-8")
    before, _, rest = readme.partition(_BEGIN)
    _, end, after = rest.partition(_END)
    if not end:
        sys.exit(f"charts/pointsman/README.md lacks the lines {_BEGIN.strip()} and {_END.strip()}")
    table = "\n".join(["| value | default | what it does |", "| --- | --- | --- |", *_rows(), ""])
    crds = {CRD_TEMPLATES / path.name: _kept(path) for path in sorted((ROOT / "crds").glob("*.yaml"))}
    return {CHART / "README.md": f"{before}{_BEGIN}{table}{_END}{after}", **crds}


def _kept(path: Path) -> str:
    text = path.read_text(encoding="utf-8")
    if "{{" in text:
        sys.exit(f"{path.name} contains {{{{, which Helm would take for a template's")
    head, name, rest = text.partition(f"metadata:\n  name: {path.stem}\n")
    if not name:
        sys.exit(f"{path.name} does not name {path.stem} in its metadata")
    return f"{head}{name}{_KEPT}{rest}"


def _rows() -> Iterator[str]:
    text = (CHART / "values.yaml").read_text(encoding="utf-8")
    comments = _comments(text.splitlines())
    node = yaml.compose(text, Loader=yaml.SafeLoader)
    assert isinstance(node, yaml.MappingNode)  # noqa: S101 - Helm takes nothing else
    for path, value, comment in _values("", node, yaml.safe_load(text), comments):
        if not comment:
            sys.exit(f"charts/pointsman/values.yaml: {path} has no comment that says what it does")
        default = "" if value is None else f"`{json.dumps(value)}`"
        yield f"| `{path}` | {default} | {comment} |".replace("|  |", "| |")


def _comments(lines: list[str]) -> dict[int, str]:
    """The comment that stands above each line, by the line's number."""
    found: dict[int, str] = {}
    comment: list[str] = []
    for number, line in enumerate(lines):
        text = line.strip()
        if text.startswith("#"):
            comment.append(text.removeprefix("#").strip())
        else:
            found[number] = " ".join(comment)
            comment = []
    return found


def _values(
    prefix: str, node: yaml.MappingNode, values: Mapping[str, Any], comments: Mapping[int, str]
) -> Iterator[tuple[str, Any, str]]:
    """Each value with its default and its comment; a section, whose parts have comments, has no default."""
    for key, child in node.value:
        path, value = f"{prefix}{key.value}", values[key.value]
        comment = comments[key.start_mark.line]
        if not _explained(child, comments):
            yield path, value, comment
            continue
        if comment:
            yield path, None, comment
        yield from _values(f"{path}.", child, value, comments)


def _explained(node: yaml.Node, comments: Mapping[int, str]) -> bool:
    """Whether any part of it has a comment of its own."""
    return (
        isinstance(node, yaml.MappingNode)
        and not node.flow_style
        and any(comments[key.start_mark.line] or _explained(child, comments) for key, child in node.value)
    )


def main() -> None:
    """Write the files, or check them."""
    for path, text in written().items():
        if "--check" not in sys.argv[1:]:
            path.write_text(text, encoding="utf-8")
        elif not path.is_file() or path.read_text(encoding="utf-8") != text:
            sys.exit(f"{path.relative_to(ROOT)} is out of date: run `make docs`")


if __name__ == "__main__":
    main()
