"""What a webhook answers, and in a word what it came to."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """`verdict` is for metrics and logs; `answer` is the whole AdmissionReview."""

    verdict: str
    answer: dict[str, Any]
