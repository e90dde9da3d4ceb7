"""The only errors that a caller may see."""

from enum import Enum, auto

from pointsman_api.v1 import decision_pb2
from pointsman_sidecar.contract.requests import Violation


class Kind(Enum):
    """What a caller can do about an error; each door gives it a status of its own."""

    # Send something else.
    INVALID_ARGUMENT = auto()
    # Name another: there is none such, or no longer.
    NOT_FOUND = auto()
    # Have the policy changed.
    FAILED_PRECONDITION = auto()
    # Try again later, and less often.
    RESOURCE_EXHAUSTED = auto()
    # Try again.
    UNAVAILABLE = auto()
    # Allow more time, or ask for less.
    DEADLINE_EXCEEDED = auto()
    # Report it.
    INTERNAL = auto()


class CompletionError(Exception):
    """No answer, or only a part of one. `str()` is the sentence for the caller.

    `reason` names the case for programs, in UPPER_SNAKE_CASE. `retry_after` is in seconds. `decision` is what had been
    decided, None where it had not come to that. `code` and `param` are OpenAI's words for what is wrong with the
    request, where somebody said so: the provider that refused it. `quota` is the budget of which nothing is left.
    """

    def __init__(
        self,
        kind: Kind,
        reason: str,
        message: str,
        *,
        violations: tuple[Violation, ...] = (),
        retry_after: float | None = None,
        decision: decision_pb2.Decision | None = None,
        code: str = "",
        param: str = "",
        quota: decision_pb2.QuotaLevel | None = None,
    ) -> None:
        super().__init__(message)
        self.kind = kind
        self.reason = reason
        self.violations = violations
        self.retry_after = retry_after
        self.decision = decision
        self.code = code
        self.param = param
        self.quota = quota
