"""What hangs on an answer: what a request says of that, and what its words tell."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from pointsman_sidecar.routing.matchers import Domain
from pointsman_sidecar.routing.policy import Severity
from pointsman_sidecar.routing.words import Text, Words

DOMAIN = "domain"
"""The entry of the metadata that names domains."""
_NAMES = {domain.lower(): domain for domain in Domain}
_LONGEST = 128

Tells = tuple[Domain, Severity]


@dataclass(frozen=True, kw_only=True, slots=True)
class Risk:
    """What a request is about, and how much hangs on its answer; and whether words told any of it."""

    domains: frozenset[Domain] = frozenset()
    severity: Severity | None = None
    found: bool = False

    def __bool__(self) -> bool:
        return bool(self.domains) or self.severity is not None


NO_RISK = Risk()


class Lexicon:
    """Words that tell of a risk, of all the languages and the policy's own."""

    def __init__(self, told: Iterable[tuple[str, Tells]]) -> None:
        tells: dict[str, set[Tells]] = {}
        for word, tell in told:
            tells.setdefault(word, set()).add(tell)
        self._words = Words({word: frozenset(tell) for word, tell in tells.items()})

    def found(self, text: Text) -> Risk:
        """What the text's words tell; of several severities the highest."""
        told = [tell for tells in self._words.found(text) for tell in tells]
        if not told:
            return NO_RISK
        return Risk(
            domains=frozenset(domain for domain, _ in told), severity=max(severity for _, severity in told), found=True
        )


def said_domains(metadata: Mapping[str, str]) -> frozenset[Domain] | None:
    """The domains that a request names; None where it does not speak of them. What is no domain is passed over."""
    said = metadata.get(DOMAIN)
    if said is None:
        return None
    names = (name.strip().lower() for name in said[:_LONGEST].split(","))
    return frozenset(_NAMES[name] for name in names if name in _NAMES)
