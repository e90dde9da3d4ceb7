"""What a snapshot says of risk and latency."""

from collections.abc import Iterator, Mapping

from pointsman_api.v1 import snapshot_pb2
from pointsman_sidecar.contract.rejections import SnapshotRejectedError
from pointsman_sidecar.contract.snapshot_matchers import DOMAINS, one
from pointsman_sidecar.lexicons import LANGUAGES, words
from pointsman_sidecar.routing.policy import Severity
from pointsman_sidecar.routing.risk import Lexicon, Tells


def risk(snapshot: snapshot_pb2.Snapshot, severities: Mapping[int, Severity]) -> Lexicon | None:
    """The words that tell of a risk; None where the policy does not look for any."""
    if not snapshot.HasField("risk"):
        return None
    return Lexicon(_told(snapshot.risk, severities))


def p50(snapshot: snapshot_pb2.Snapshot) -> float | None:
    """The seconds in which half of the answers should begin; None where that does not count."""
    if not snapshot.HasField("latency"):
        return None
    seconds = snapshot.latency.p50.ToMilliseconds() / 1000
    if seconds <= 0:
        raise SnapshotRejectedError("latency.p50 is not above 0")
    return seconds


def _told(said: snapshot_pb2.Risk, severities: Mapping[int, Severity]) -> Iterator[tuple[str, Tells]]:
    for language in said.lexicons:
        if language not in LANGUAGES:
            raise SnapshotRejectedError(f"risk names the lexicon {language}, which this sidecar does not have")
        yield from words(language)
    for terms in said.terms:
        tells = one("risk", terms.domain, DOMAINS), one("risk", terms.severity, severities)
        yield from ((word, tells) for word in terms.words)
