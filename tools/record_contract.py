"""Records the contract of protos/ as a released version's: `python tools/record_contract.py 0.2`, once, at its release.

What is recorded is what `make lint` and tests/skew/ hold later versions to. It is never written anew.
"""

import sys
from importlib.resources import files
from pathlib import Path

from grpc_tools import protoc

ROOT = Path(__file__).resolve().parent.parent
CONTRACTS = ROOT / "tests" / "skew" / "contracts"


def record(version: str) -> Path:
    """Write the descriptors of all protos, and of what they import, and return the file."""
    file = CONTRACTS / version / "contract.binpb"
    if file.exists():
        sys.exit(f"{file} is there already, and what was released does not change")
    file.parent.mkdir(parents=True, exist_ok=True)
    protos = sorted((ROOT / "protos").rglob("*.proto"))
    arguments = [
        "protoc",
        f"--proto_path={ROOT / 'protos'}",
        f"--proto_path={files('grpc_tools') / '_proto'}",
        "--include_imports",
        f"--descriptor_set_out={file}",
        *map(str, protos),
    ]
    if protoc.main(arguments) != 0:
        sys.exit("protoc refused the files under protos/: its message stands above")
    return file


if __name__ == "__main__":
    if len(sys.argv) != 2:  # noqa: PLR2004 - the command and the version
        sys.exit("say which version is recorded: python tools/record_contract.py 0.2")
    print(record(sys.argv[1]))  # noqa: T201 - a command's answer
