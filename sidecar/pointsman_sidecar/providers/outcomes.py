"""What can come of a call to a provider."""

from enum import Enum, auto


class Outcome(Enum):
    """What came of one call."""

    SUCCEEDED = auto()
    CONNECTION_FAILED = auto()
    TIMED_OUT = auto()
    RATE_LIMITED = auto()
    PROVIDER_FAILED = auto()
    MISCONFIGURED = auto()
    TOO_LARGE = auto()
    REFUSED = auto()
    NO_ACCESS = auto()
    CUT = auto()
    CANCELLED = auto()
    OVERTAKEN = auto()


# What may be better a moment later.
_PASSING = frozenset({Outcome.CONNECTION_FAILED, Outcome.TIMED_OUT, Outcome.RATE_LIMITED, Outcome.PROVIDER_FAILED})


class ProviderFailure(Exception):  # noqa: N818 - an expected outcome, no error of ours
    """A call that gave no answer.

    `str()` is a sentence for the caller. It may quote the provider, and so the prompt: never log it. `retry_after` is
    in seconds, where the provider names a time. `code` and `param` are its words for what is wrong with the request.
    `sent` is false where it is certain that the request did not reach the provider. `retry` says whether the same call
    may succeed a moment later; None leaves that to the outcome. `others_first` says that this is tried only where no
    other model is left: it has cost the caller's time, or the app's money, and another model is likelier to answer.
    """

    def __init__(
        self,
        outcome: Outcome,
        message: str,
        *,
        http_status: int = 0,
        retry_after: float | None = None,
        code: str = "",
        param: str = "",
        sent: bool = True,
        retry: bool | None = None,
        others_first: bool = False,
    ) -> None:
        super().__init__(message)
        self.outcome = outcome
        self.http_status = http_status
        self.retry_after = retry_after
        self.code = code
        self.param = param
        self.sent = sent
        self.may_retry = outcome in _PASSING if retry is None else retry and self.may_fall_back
        # Silence, unlike a status that says so, has used up all the time that the policy gives to one call.
        self.others_first = others_first or (outcome is Outcome.TIMED_OUT and not http_status)

    @property
    def may_fall_back(self) -> bool:
        """Whether another model may be tried: not when the request itself is refused, nor once a part was sent on."""
        return self.outcome not in {Outcome.REFUSED, Outcome.CUT}
