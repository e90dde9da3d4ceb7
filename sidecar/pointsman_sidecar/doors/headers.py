"""What rules may see of a request's headers."""

from collections.abc import Iterable, Mapping
from typing import Final

# They carry keys, and end at the door. No rule names them: the CRD refuses it.
KEYS: Final = frozenset({"authorization", "proxy-authorization", "cookie", "api-key", "x-api-key"})


def for_rules(headers: Iterable[tuple[str, str]]) -> Mapping[str, str]:
    """The headers by their names in lower case, the first of each; without those that carry keys."""
    seen: dict[str, str] = {}
    for name, value in headers:
        lower = name.lower()
        if lower not in KEYS:
            seen.setdefault(lower, value)
    return seen
