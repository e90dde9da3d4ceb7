"""The cases of this folder, for the tests that try them: the files, what they say of themselves, and their kinds."""

from dataclasses import dataclass
from pathlib import Path

from pointsman_operator.schema import Definitions, definitions, definitions_of, documents

FOLDER = Path(__file__).parent
PROBE_CRDS = FOLDER / "probe" / "crds"
_REFUSED = "# refused: "


@dataclass(frozen=True, kw_only=True)
class Case:
    """One resource, and the causes for which it is refused; none where it is accepted."""

    path: Path
    text: str
    refused: tuple[str, ...]

    @property
    def kind(self) -> str:
        """The folder's name, which is the kind's in lower case."""
        return self.path.parents[1].name

    def __str__(self) -> str:
        return f"{self.kind}/{self.path.stem}"


def cases(*, verdict: str, kind: str = "*") -> list[Case]:
    """Return the cases, of one kind or of all, that are `valid` or `invalid`."""
    return [_case(path) for path in sorted(FOLDER.glob(f"{kind}/{verdict}/*.yaml"))]


def kinds() -> Definitions:
    """Return the kinds that have cases: our own, and the probe."""
    [probe] = PROBE_CRDS.glob("*.yaml")
    return Definitions(
        definitions().known + definitions_of(documents(probe.read_text(encoding="utf-8"), source=probe.name)).known
    )


def _case(path: Path) -> Case:
    text = path.read_text(encoding="utf-8")
    refused = tuple(line.removeprefix(_REFUSED) for line in text.splitlines() if line.startswith(_REFUSED))
    return Case(path=path, text=text, refused=refused)
