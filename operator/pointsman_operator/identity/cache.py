"""What the API server said of tokens, for a short while: pure. Knows tokens by their digest alone."""

from dataclasses import dataclass

from pointsman_operator.identity.reviews import ProvenPod

LONGEST_SECONDS = 60.0


@dataclass(frozen=True, kw_only=True)
class Proof:
    """A pod that a token proves, and when that token ends, in seconds since 1970."""

    pod: ProvenPod
    ends: float


class ProofCache:
    """Each entry is good for a minute at most, and never beyond its token's own end."""

    def __init__(self) -> None:
        # In the order in which they were put, which is the order in which they become a minute old.
        self._entries: dict[str, tuple[Proof, float]] = {}

    def __len__(self) -> int:
        return len(self._entries)

    def put(self, digest: str, proof: Proof, *, now: float) -> None:
        """Keep what was said just now."""
        self._entries.pop(digest, None)
        self._entries[digest] = (proof, min(now + LONGEST_SECONDS, proof.ends))
        while now >= (oldest := next(iter(self._entries.items())))[1][1]:
            del self._entries[oldest[0]]
            if not self._entries:
                break

    def get(self, digest: str, *, now: float) -> Proof | None:
        """What was said of a token, if that is still good."""
        proof, good_until = self._entries.get(digest, (None, 0.0))
        return proof if now < good_until else None

    def drop(self, uid: str) -> None:
        """Forget what was said of a pod's tokens: it is gone."""
        self._entries = {key: entry for key, entry in self._entries.items() if entry[0].pod.uid != uid}
