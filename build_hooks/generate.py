"""Generates what is built and never committed: the contract's Python code and the CRDs as package data.

Runs as hatchling's build hook, and by hand as `python build_hooks/generate.py`.
"""

import os
import shutil
import sys
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

ROOT = Path(__file__).resolve().parent.parent
GENERATED = ROOT / "gen"


def generate() -> None:
    """Write `gen/pointsman_api` from protos/ and `gen/pointsman_crds` from crds/."""
    from grpc_tools import protoc  # noqa: PLC0415 - slow to import; a build that reuses gen/ does not pay for it

    # The stubs come from a plugin that stands beside the interpreter, which need not be on the PATH.
    os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"
    shutil.rmtree(GENERATED, ignore_errors=True)
    GENERATED.mkdir()
    protos = sorted((ROOT / "protos").rglob("*.proto"))
    well_known = Path(protoc.__file__).parent / "_proto"
    arguments = [
        "protoc",
        f"--proto_path={ROOT / 'protos'}",
        f"--proto_path={well_known}",
        f"--python_out={GENERATED}",
        f"--grpc_python_out={GENERATED}",
        f"--mypy_out=quiet:{GENERATED}",
        f"--mypy_grpc_out=quiet:{GENERATED}",
        *(str(proto) for proto in protos),
    ]
    if protoc.main(arguments) != 0:
        sys.exit("protoc refused the files under protos/: its message stands above")
    for package in (path for path in (GENERATED / "pointsman_api").rglob("*") if path.is_dir()):
        (package / "__init__.py").write_text('"""The contract, generated from protos/."""\n')
        (package / "py.typed").touch()
    (GENERATED / "pointsman_api" / "__init__.py").write_text('"""The contract, generated from protos/."""\n')
    (GENERATED / "pointsman_api" / "py.typed").touch()
    crds = GENERATED / "pointsman_crds"
    crds.mkdir()
    (crds / "__init__.py").write_text('"""The CustomResourceDefinitions, copied from crds/."""\n')
    for crd in sorted((ROOT / "crds").glob("*.yaml")):
        shutil.copy(crd, crds / crd.name)


class GenerateHook(BuildHookInterface):  # type: ignore[type-arg,misc]
    """Generates before hatchling gathers the files of a wheel or of an editable install."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:  # noqa: ARG002 - hatchling's signature
        """Generate anew; hatchling calls this once per target."""
        generate()


if __name__ == "__main__":
    generate()
