"""What rules learn of one request: each thing when the first rule asks for it, and once."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from pointsman_sidecar.routing.content import LONGEST_TOOL_NAME, MOST_TOOLS, ends
from pointsman_sidecar.routing.features import Features
from pointsman_sidecar.routing.kinds import kinds_in
from pointsman_sidecar.routing.languages import language_of
from pointsman_sidecar.routing.matchers import Domain, Expression, ExpressionError, Kind
from pointsman_sidecar.routing.policy import Severity
from pointsman_sidecar.routing.risk import DOMAIN, NO_RISK, Lexicon, Risk, said_domains
from pointsman_sidecar.routing.words import Text, Words

# Of a text that an expression reads, since CEL copies it, and that code and formulas are looked for in.
LONGEST_TEXT = 4_000
_MOST_HEADERS = 64
_LONGEST_HEADER = 512


def _no_headers() -> Mapping[str, str]:
    return {}


@dataclass(frozen=True, kw_only=True, slots=True)
class Surroundings:
    """What is around a request: the moment, in seconds since 1970, and its headers by their names in lower case."""

    now: float = 0.0
    headers: Callable[[], Mapping[str, str]] = field(default=_no_headers, repr=False)


NOWHERE = Surroundings()


class Facts:
    """One request as rules see it."""

    def __init__(self, features: Features, surroundings: Surroundings, lexicon: Lexicon | None) -> None:
        self.features = features
        self.surroundings = surroundings
        self.has_verdicts = False
        self._lexicon = lexicon

    @cached_property
    def headers(self) -> Mapping[str, str]:
        """The request's headers."""
        return self.surroundings.headers()

    @cached_property
    def tools(self) -> Sequence[str]:
        """The names of the tools."""
        return self.features.content.tool_names

    @cached_property
    def language(self) -> str:
        """The language of the last message, by its code; empty where nobody can tell."""
        said = self.features.content.said
        return language_of(said[0]) if said else ""

    @cached_property
    def kinds(self) -> frozenset[Kind]:
        """What stands in the messages beside prose."""
        return kinds_in(ends("\n".join(self.features.content.said), LONGEST_TEXT))

    @cached_property
    def risk(self) -> Risk:
        """What hangs on the answer: as the request says, else as the lexicon finds."""
        severity = self.features.severity
        if self._lexicon is None and severity is None and DOMAIN not in self.features.metadata:
            return NO_RISK
        said = said_domains(self.features.metadata)
        looked = self._lexicon is not None and (said is None or severity is None)
        found = self._lexicon.found(self._text) if looked and self._lexicon is not None else NO_RISK
        domains = found.domains if said is None else said
        return Risk(
            domains=domains,
            severity=found.severity if severity is None else severity,
            found=(said is None and bool(found.domains)) or (severity is None and found.severity is not None),
        )

    @property
    def domains(self) -> frozenset[Domain]:
        """What the request is about."""
        return self.risk.domains

    @property
    def severity(self) -> Severity | None:
        """How much hangs on the answer."""
        given = self.features.severity
        return given if given is not None or self._lexicon is None else self.risk.severity

    def found(self, words: Words[str]) -> frozenset[str]:
        """Those of the words that stand in the messages."""
        known = self._found.get(words)
        if known is None:
            known = self._found[words] = words.found(self._text)
        return known

    def verdict(self, expression: Expression) -> bool | ExpressionError:
        """What an expression says of the request, or why it says nothing."""
        known = self._verdicts.get(expression)
        if known is None:
            try:
                known = expression.evaluate(self.values(expression.names))
            except ExpressionError as error:
                known = error
            self._verdicts[expression] = known
            self.has_verdicts = True
        return known

    def tried(self, expression: Expression) -> bool:
        """Whether a rule has asked for its verdict."""
        return expression in self._verdicts

    def values(self, names: frozenset[str]) -> Mapping[str, Any]:
        """The values of these variables of expressions."""
        return {name: _VALUES[name](self) for name in names}

    @cached_property
    def _found(self) -> dict[Words[str], frozenset[str]]:
        return {}

    @cached_property
    def _verdicts(self) -> dict[Expression, bool | ExpressionError]:
        return {}

    @cached_property
    def _text(self) -> Text:
        return Text("\n".join(self.features.content.said))


def _text(facts: Facts) -> str:
    said = facts.features.content.said
    # A half of a surrogate pair, which JSON can spell, is no text to CEL.
    return _written(ends(said[0], LONGEST_TEXT)) if said else ""


def _headers(facts: Facts) -> Mapping[str, str]:
    first = list(facts.headers.items())[:_MOST_HEADERS]
    return {_written(name): _written(value[:_LONGEST_HEADER]) for name, value in first}


def _written(text: str) -> str:
    return text if text.isascii() else text.encode(errors="replace").decode()


# By the names of the contract's ExpressionVariables.
_VALUES: Mapping[str, Callable[[Facts], Any]] = {
    "user": lambda facts: _written(facts.features.user),
    "session": lambda facts: _written(facts.features.session),
    "model": lambda facts: _written(facts.features.model),
    "severity": lambda facts: "" if facts.severity is None else facts.severity.name.capitalize(),
    "estimatedInputTokens": lambda facts: facts.features.estimated_input_tokens,
    "metadata": lambda facts: {_written(key): _written(value) for key, value in facts.features.metadata.items()},
    "headers": _headers,
    "tools": lambda facts: [_written(name[:LONGEST_TOOL_NAME]) for name in facts.tools[:MOST_TOOLS]],
    "modalities": lambda facts: sorted(each.name.capitalize() for each in facts.features.modalities),
    "responseFormat": lambda facts: str(facts.features.shape),
    "domains": lambda facts: sorted(str(each) for each in facts.domains),
    "language": lambda facts: facts.language,
    "content": lambda facts: sorted(str(each) for each in facts.kinds),
    "text": _text,
    "negativeFeedback": lambda facts: facts.features.negative_feedback,
}
VARIABLES = frozenset(_VALUES)
