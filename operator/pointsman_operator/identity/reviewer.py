"""From a token to the pod that it proves, by asking the API server as little as possible."""

import asyncio
from collections.abc import Callable

from pointsman_operator.identity.cache import Proof, ProofCache
from pointsman_operator.identity.metrics import IdentityMetrics
from pointsman_operator.identity.pacing import Pacer
from pointsman_operator.identity.proofs import Proofs, ProofUnavailableError
from pointsman_operator.identity.reviews import judge
from pointsman_operator.identity.tokens import claimed_end, digest
from pointsman_operator.push import IdentityUnavailableError, UnidentifiedError


class Reviewer:
    """Remembers tokens that were accepted; of those who ask for one token at the same time, one asks the server."""

    def __init__(
        self, proofs: Proofs, *, audience: str, pacer: Pacer, metrics: IdentityMetrics, now: Callable[[], float]
    ) -> None:
        self._proofs = proofs
        self._audience = audience
        self._pacer = pacer
        self._metrics = metrics
        self._now = now
        self._cache = ProofCache()
        self._asked: dict[str, asyncio.Task[Proof]] = {}

    async def prove(self, token: str) -> Proof:
        """The pod that a token proves. Raise UnidentifiedError or IdentityUnavailableError."""
        try:
            proof, result = await self._prove(token)
        except UnidentifiedError:
            self._metrics.checks.labels(result="refused").inc()
            raise
        except IdentityUnavailableError:
            self._metrics.checks.labels(result="unavailable").inc()
            raise
        self._metrics.checks.labels(result=result).inc()
        return proof

    def forget(self, uid: str) -> None:
        """A pod is gone: what its tokens proved is over."""
        self._cache.drop(uid)

    async def _prove(self, token: str) -> tuple[Proof, str]:
        ends = claimed_end(token, now=self._now())
        key = digest(token)
        if known := self._cache.get(key, now=self._now()):
            return known, "remembered"
        task = self._asked.get(key)
        if task is None:
            task = self._asked[key] = asyncio.create_task(self._ask(token, key=key, ends=ends))
            task.add_done_callback(lambda done: self._answered(key, done))
        # Whoever goes away takes nothing from the others.
        return await asyncio.shield(task), "accepted"

    async def _ask(self, token: str, *, key: str, ends: float) -> Proof:
        async with self._pacer.turn():
            try:
                status = await self._proofs.review(token, audience=self._audience)
            except ProofUnavailableError as error:
                raise IdentityUnavailableError(f"the token cannot be checked now: {error}") from error
        proof = Proof(pod=judge(status, audience=self._audience), ends=ends)
        self._cache.put(key, proof, now=self._now())
        return proof

    def _answered(self, key: str, task: asyncio.Task[Proof]) -> None:
        del self._asked[key]
        if not task.cancelled():
            task.exception()  # those who asked may all have gone
