"""What a provider can do wrong, and what comes of it: the one table that the tests try and docs/faults.md shows."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum


class Retried(Enum):
    """Whether the same model is called again."""

    YES = "yes"
    NO = "no"
    # Another model is likelier to answer, in what is left of the time and for what an answer costs.
    ALONE = "without a fallback"


class Endpoint(Enum):
    """Where the calls go."""

    STUB = "the stub provider"
    CLOSED = "a port on which nobody listens"
    TLS = "a port that speaks no TLS, by https"
    UNTRUSTED = "a server whose certificate nobody vouches for"


@dataclass(frozen=True, kw_only=True)
class Came:
    """What comes of a call.

    `outcome`, `retried` and `charge` are those of the call itself, as the decision says them. `grpc`, `reason`, `http`
    and `code` are what the app gets where no other model is left; with one that is, `fallback` says whether it answers.
    """

    outcome: str
    retried: Retried
    charge: str
    fallback: bool
    grpc: str
    reason: str
    http: int
    code: str


@dataclass(frozen=True, kw_only=True)
class FaultCase:
    """One thing that goes wrong."""

    what: str
    whole: Came
    streamed: Came
    fault: Mapping[str, str | int | float] = field(default_factory=dict)
    endpoint: Endpoint = Endpoint.STUB


def answered(*, charge: str = "COUNTED") -> Came:
    """It is an answer."""
    return Came(
        outcome="SUCCEEDED",
        retried=Retried.NO,
        charge=charge,
        fallback=False,
        grpc="OK",
        reason="",
        http=200,
        code="",
    )


def missed(
    outcome: str,
    *,
    retried: Retried,
    charge: str = "NONE",
    reason: str = "NO_MODEL_ANSWERED",
    grpc: str = "UNAVAILABLE",
    http: int = 503,
    code: str = "no_model_answered",
) -> Came:
    """It is none, and another model may give one."""
    return Came(
        outcome=outcome,
        retried=retried,
        charge=charge,
        fallback=True,
        grpc=grpc,
        reason=reason,
        http=http,
        code=code,
    )


def cut() -> Came:
    """A part of an answer, which nobody else can end."""
    return Came(
        outcome="CUT",
        retried=Retried.NO,
        charge="UNKNOWN",
        fallback=False,
        grpc="UNAVAILABLE",
        reason="STREAM_CUT",
        http=200,
        code="stream_cut",
    )


def refused(code: str) -> Came:
    """The request itself is refused, and would be by others."""
    return Came(
        outcome="REFUSED",
        retried=Retried.NO,
        charge="NONE",
        fallback=False,
        grpc="INVALID_ARGUMENT",
        reason="REFUSED_BY_PROVIDER",
        http=400,
        code=code,
    )


def too_large() -> Came:
    """A capability that was misjudged."""
    return missed(
        "TOO_LARGE",
        retried=Retried.NO,
        reason="NO_CAPABLE_MODEL",
        grpc="FAILED_PRECONDITION",
        http=400,
        code="context_length_exceeded",
    )


_BROKEN = missed("CONNECTION_FAILED", retried=Retried.YES, charge="UNKNOWN")
_NOT_REACHED = missed("CONNECTION_FAILED", retried=Retried.YES)
_SILENT = missed("TIMED_OUT", retried=Retried.ALONE, charge="UNKNOWN")
_UNREADABLE = missed("PROVIDER_FAILED", retried=Retried.ALONE, charge="UNKNOWN")
_SETUP = missed("MISCONFIGURED", retried=Retried.NO)
_FAILED = missed("PROVIDER_FAILED", retried=Retried.YES)
_LIMITED = missed("RATE_LIMITED", retried=Retried.YES, reason="RATE_LIMITED", http=429, code="rate_limit_exceeded")


def _both(what: str, came: Came, *, endpoint: Endpoint = Endpoint.STUB, **fault: str | float) -> FaultCase:
    return FaultCase(what=what, fault=fault, whole=came, streamed=came, endpoint=endpoint)


CASES: Mapping[str, FaultCase] = {
    "refused": _both("the connection is refused", _NOT_REACHED, endpoint=Endpoint.CLOSED),
    "tls": _both("no TLS where https was said", _NOT_REACHED, endpoint=Endpoint.TLS),
    "untrusted": _both(
        "a certificate that is not trusted",
        missed("CONNECTION_FAILED", retried=Retried.NO),
        endpoint=Endpoint.UNTRUSTED,
    ),
    "cut-before-a-byte": _both("the connection breaks before a byte", _BROKEN, cut="start"),
    "cut-after-headers": _both("the connection breaks after the headers", _BROKEN, cut="headers"),
    "slow": _both("a slow first byte, within the time", answered(), latency=0.05),
    "silent": _both("no byte within the time", _SILENT, hang="start"),
    "silent-after-headers": _both("headers, and no more within the time", _SILENT, hang="headers"),
    "stalled": FaultCase(what="silence in the middle of the answer", fault={"hang": 4}, whole=_SILENT, streamed=cut()),
    "cut": FaultCase(
        what="the connection breaks in the middle of the answer", fault={"cut": 4}, whole=_BROKEN, streamed=cut()
    ),
    "error-event": FaultCase(
        what="an error in the middle of the answer", fault={"error_after": 4}, whole=_FAILED, streamed=cut()
    ),
    "json": FaultCase(what="JSON that breaks off", fault={"garbage": "json"}, whole=_UNREADABLE, streamed=_UNREADABLE),
    "page": FaultCase(
        what="a web page instead of an answer", fault={"garbage": "html"}, whole=_UNREADABLE, streamed=_BROKEN
    ),
    "events": FaultCase(
        what="lines that are no events", fault={"garbage": "events"}, whole=_UNREADABLE, streamed=_BROKEN
    ),
    "no-choices": FaultCase(
        what="an answer without choices",
        fault={"odd": "no_choices"},
        whole=_UNREADABLE,
        streamed=missed("CONNECTION_FAILED", retried=Retried.YES, charge="COUNTED"),
    ),
    "wrong-usage": _both("usage that can be no count", answered(charge="UNKNOWN"), odd="wrong_usage"),
    "no-usage": _both("no usage", answered(charge="UNKNOWN"), odd="no_usage"),
    "filtered": _both("an answer that the provider's content filter ended", answered(), odd="filtered"),
    "filter": _both(
        "the content filter refuses the request", refused("content_filter"), status=400, code="content_filter"
    ),
    "400": _both("400", refused("refused_by_provider"), status=400),
    "422": _both("422", refused("refused_by_provider"), status=422),
    "context-length": _both(
        "400 with `context_length_exceeded`", too_large(), status=400, code="context_length_exceeded"
    ),
    "413": _both("413", too_large(), status=413),
    "401": _both("401", _SETUP, status=401),
    "403": _both("403", _SETUP, status=403),
    "404": _both("404", _SETUP, status=404),
    "408": _both("408", missed("TIMED_OUT", retried=Retried.YES), status=408),
    "409": _both("409", _FAILED, status=409),
    "429": _both("429", _LIMITED, status=429),
    "429-later": _both(
        "429 with a Retry-After that the time does not allow",
        missed("RATE_LIMITED", retried=Retried.NO, reason="RATE_LIMITED", http=429, code="rate_limit_exceeded"),
        status=429,
        retry_after=60,
    ),
    "429-quota": _both(
        "429 with `insufficient_quota`",
        missed("RATE_LIMITED", retried=Retried.NO, reason="RATE_LIMITED", http=429, code="rate_limit_exceeded"),
        status=429,
        code="insufficient_quota",
    ),
    "500": _both("500", _FAILED, status=500),
    "502": _both("502", _FAILED, status=502),
    "503": _both("503", _FAILED, status=503),
    "529": _both("529", _FAILED, status=529),
}
