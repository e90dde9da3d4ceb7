"""The CustomResourceDefinitions: read from package data, and looked up by what a document calls itself.

`definitions` is the one function of this package that does I/O.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any, Final

from pointsman_operator.schema.documents import Document, documents
from pointsman_operator.schema.structure import Schema, UnsupportedSchemaError, schema_of, shape_of

_METADATA: Final = {"type": "object", "properties": {"name": {"type": "string"}, "generateName": {"type": "string"}}}
"""All of the metadata that a rule can see."""


@dataclass(frozen=True, kw_only=True)
class Definition:
    """One version of a kind."""

    group: str
    version: str
    kind: str
    plural: str
    namespaced: bool
    schema: Schema

    @property
    def api_version(self) -> str:
        """What a document of this kind has as its apiVersion."""
        return f"{self.group}/{self.version}"


@dataclass(frozen=True)
class Definitions:
    """The kinds that the offline check knows."""

    known: tuple[Definition, ...]

    def find(self, *, api_version: str, kind: str) -> Definition | None:
        """Find a kind as kubectl does, which takes its name in lower case too."""
        for definition in self.known:
            if api_version == definition.api_version and kind in {definition.kind, definition.kind.lower()}:
                return definition
        return None


@cache
def definitions() -> Definitions:
    """Return the definitions of this build, read once."""
    files = sorted(resources.files("pointsman_crds").iterdir(), key=lambda file: file.name)
    return definitions_of(
        document
        for file in files
        if file.name.endswith(".yaml")
        for document in documents(file.read_text(encoding="utf-8"), source=file.name)
    )


def definitions_of(crds: Iterable[Document]) -> Definitions:
    """Take in CustomResourceDefinitions; UnsupportedSchemaError says what could not be judged as a server does."""
    return Definitions(tuple(definition for crd in crds for definition in _versions(crd.value["spec"])))


def _versions(spec: Mapping[str, Any]) -> Iterator[Definition]:
    for version in spec["versions"]:
        kind = spec["names"]["kind"]
        root = version["schema"]["openAPIV3Schema"]
        if "status" not in version.get("subresources", {}):
            raise UnsupportedSchemaError(f"{kind}: the offline check knows kinds with a status subresource only")
        properties = root["properties"] | {"metadata": _METADATA}
        if "status" in properties:
            # Whoever creates an object cannot set its status: the server looks at the names in it and drops it.
            properties["status"] = shape_of(properties["status"])
        yield Definition(
            group=spec["group"],
            version=version["name"],
            kind=kind,
            plural=spec["names"]["plural"],
            namespaced=spec["scope"] == "Namespaced",
            schema=schema_of({**root, "properties": properties}, at=kind),
        )
