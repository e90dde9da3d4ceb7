"""Writes docs/api.md from the CustomResourceDefinitions: `python tools/api_reference.py` (make docs).

With `--check` it writes nothing and fails where the file is out of date.
"""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parent.parent
REFERENCE = ROOT / "docs" / "api.md"
_INTRODUCTION = """\
# The resources

Every field, from the CustomResourceDefinitions themselves (`make docs` writes this page). A cluster shows the same:
`kubectl explain modelroutingpolicy.spec --recursive`. Durations are written `500ms`, `30s` or `2m`; money is a decimal
in quotes; every list and text has a maximum.
"""
_BOUNDS = {
    "minimum": "≥ {}",
    "maximum": "≤ {}",
    "minItems": "at least {} items",
    "maxItems": "at most {} items",
    "minProperties": "at least {} of its fields",
    "maxProperties": "at most {} entries",
    "maxLength": "at most {} characters",
}


def reference() -> str:
    """The whole page."""
    crds = (yaml.safe_load(path.read_text(encoding="utf-8")) for path in sorted((ROOT / "crds").glob("*.yaml")))
    return "\n".join([_INTRODUCTION, *("\n".join(_kind(crd)) for crd in crds)])


def _kind(crd: dict[str, Any]) -> Iterator[str]:
    names, version = crd["spec"]["names"], crd["spec"]["versions"][0]
    schema = version["schema"]["openAPIV3Schema"]
    yield f"## {names['kind']}"
    yield ""
    scope = "in a namespace" if crd["spec"]["scope"] == "Namespaced" else "for the whole cluster"
    yield f"`{crd['spec']['group']}/{version['name']}`, {scope}; short name `{', '.join(names['shortNames'])}`."
    yield schema["description"]
    for part in ("spec", "status"):
        yield ""
        yield "| field | type | what it says |"
        yield "| --- | --- | --- |"
        yield from _fields(part, schema["properties"][part])
    yield ""
    rules = list(_rules("spec", schema["properties"]["spec"]))
    yield "Rules between fields:"
    yield ""
    yield from (f"- `{where}`: {message}" for where, message in dict.fromkeys(rules))
    yield ""


def _fields(path: str, schema: dict[str, Any]) -> Iterator[str]:
    required = set(schema.get("required", ()))
    for name, field in schema.get("properties", {}).items():
        where = f"{path}.{name}"
        said = field.get("description", "")
        if name in required:
            said = f"{said} Required."
        if "default" in field and field["default"] != {}:
            said = f"{said} Default: `{_plain(field['default'])}`."
        yield f"| `{where}` | {_type(field)} | {said.strip()} |"
        yield from _fields(where, field)
        if field.get("type") == "array":
            yield from _fields(f"{where}[]", field["items"])


def _type(field: dict[str, Any]) -> str:
    if "enum" in field:
        return " or ".join(f"`{value}`" for value in field["enum"])
    if field["type"] == "array":
        kind = f"list of ({_type(field['items'])})" if field["items"].get("type") != "object" else "list"
    elif "additionalProperties" in field:
        kind = f"map of {_type(field['additionalProperties'])}"
    else:
        kind = field["type"]
    if "pattern" in field:
        kind += f", `{field['pattern']}`".replace("|", "\\|")
    bounds = [
        text.format(f"{field[key]:,}") for key, text in _BOUNDS.items() if key in field and "pattern" not in field
    ]
    return ", ".join([kind, *bounds])


def _plain(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value).replace("'", "")


def _rules(path: str, schema: dict[str, Any]) -> Iterator[tuple[str, str]]:
    for rule in schema.get("x-kubernetes-validations", ()):
        yield path, rule["message"]
    for name, field in schema.get("properties", {}).items():
        yield from _rules(f"{path}.{name}", field)
    if schema.get("type") == "array":
        yield from _rules(f"{path}[]", schema["items"])


def main() -> None:
    """Write the page, or check it."""
    page = reference()
    if "--check" not in sys.argv[1:]:
        REFERENCE.write_text(page, encoding="utf-8")
    elif REFERENCE.read_text(encoding="utf-8") != page:
        sys.exit("docs/api.md is out of date: run `make docs`")


if __name__ == "__main__":
    main()
