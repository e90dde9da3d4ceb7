"""Words that tell of a risk, a file for each language. Nothing else may enter.

A section begins with a domain and a severity in brackets, such as `[Legal High]`. Below it stands a word or a phrase on
each line, whole and in any case; one that ends in * stands for all that begin so; what follows a # is a remark. A word
belongs here where its presence alone makes it likely that a wrong answer does harm.
"""

from functools import cache
from importlib.resources import files
from typing import Final

from pointsman_sidecar.routing.matchers import Domain
from pointsman_sidecar.routing.policy import Severity
from pointsman_sidecar.routing.risk import Tells

LANGUAGES: Final = frozenset({"de", "en", "es", "fr"})


@cache
def words(language: str) -> tuple[tuple[str, Tells], ...]:
    """The words of a language's lexicon, each with what it tells."""
    found: list[tuple[str, Tells]] = []
    tells: Tells | None = None
    for line in files(__name__).joinpath(f"{language}.txt").read_text(encoding="utf-8").splitlines():
        text = line.partition("#")[0].strip()
        if text.startswith("["):
            domain, _, severity = text.strip("[]").partition(" ")
            tells = Domain(domain), Severity[severity.upper()]
        elif text and tells is not None:
            found.append((text, tells))
    return tuple(found)
