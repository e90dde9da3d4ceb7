"""Which authorities there should be, from those there are and the time: pure.

One authority signs. Well before it ends another is made, which everybody is told to trust; only when they had the time
to hear of it does it sign, and the one before it stays trusted to its end. So a client that heard anything within the
overlap trusts whatever is served.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from pointsman_operator.tls.certificates import KeyPair, validity

_RENEWED_AFTER = 0.8  # of an authority's life
_LEAF_RENEWED_AFTER = 2 / 3  # of a server certificate's


class Step(StrEnum):
    """What to do with the authorities."""

    KEEP = "keep"
    CREATE = "create"  # from nothing, or from nothing that is still good
    PREPARE = "prepare"  # make the next one, to be trusted from now on
    PROMOTE = "promote"  # have the next one sign
    DROP = "drop"  # no longer trust one that has ended


@dataclass(frozen=True, kw_only=True)
class Plan:
    """How long an authority lives, and how long its successor is trusted before it signs."""

    lifetime: timedelta
    overlap: timedelta


@dataclass(frozen=True, kw_only=True)
class Authorities:
    """The one that signs, the one that will, and the certificates of those that did."""

    signing: KeyPair
    following: KeyPair | None = None
    retired: tuple[bytes, ...] = ()

    @property
    def bundle(self) -> bytes:
        """All that are to be trusted, as PEM."""
        following = () if self.following is None else (self.following.certificate,)
        return b"".join((self.signing.certificate, *following, *self.retired))


def next_step(known: Authorities | None, *, now: datetime, plan: Plan) -> Step:
    """What is to be done now. Raise CertificateError if a certificate cannot be read."""
    if known is None or (known.following is None and now >= validity(known.signing.certificate).ends):
        return Step.CREATE
    when, step = next_due(known, plan=plan)
    return step if now >= when else Step.KEEP


def next_due(known: Authorities, *, plan: Plan) -> tuple[datetime, Step]:
    """What is to be done next, and when."""
    signing = validity(known.signing.certificate)
    dates = [(validity(certificate).ends, Step.DROP) for certificate in known.retired]
    if known.following is None:
        dates.append((_between(signing.begins, signing.ends, _RENEWED_AFTER), Step.PREPARE))
    else:
        begins = validity(known.following.certificate).begins
        # Where what is left of the old one's life is shorter than the overlap, half of it has to do.
        dates.append((min(begins + plan.overlap, _between(begins, signing.ends, 0.5)), Step.PROMOTE))
    return min(dates)


def take(step: Step, known: Authorities | None, *, now: datetime, make: Callable[[], KeyPair]) -> Authorities:
    """The authorities after a step."""
    match step, known:
        case Step.PREPARE, Authorities():
            return replace(known, following=make())
        case Step.PROMOTE, Authorities(following=KeyPair() as following):
            # Its key has no more use, and is not kept.
            return Authorities(signing=following, retired=(*known.retired, known.signing.certificate))
        case Step.DROP, Authorities():
            return replace(known, retired=tuple(each for each in known.retired if now < validity(each).ends))
        case Step.KEEP, Authorities():
            return known
    return Authorities(signing=make())


def renewal_of(leaf: KeyPair) -> datetime:
    """When a server certificate is to be replaced."""
    period = validity(leaf.certificate)
    return _between(period.begins, period.ends, _LEAF_RENEWED_AFTER)


def _between(start: datetime, end: datetime, share: float) -> datetime:
    return start + (end - start) * share
