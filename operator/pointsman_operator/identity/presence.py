"""Looks whether pods are still there, where the watch does not say so, and cuts off the sidecars of those that are not.

A watch by label says that an object went when it only lost the label, and says nothing of pods that never had it. So
neither its silence nor its word is enough to end a stream.
"""

import asyncio
from collections.abc import Callable
from dataclasses import replace

import structlog

from pointsman_operator.identity.metrics import IdentityMetrics
from pointsman_operator.identity.pacing import Pacer
from pointsman_operator.identity.proofs import Proofs, ProofUnavailableError
from pointsman_operator.identity.reviewer import Reviewer
from pointsman_operator.push import Hub, IdentityUnavailableError, Session

log = structlog.get_logger(__name__)

INTERVAL_SECONDS = 60.0
RETRY_SECONDS = 2.0


class Presence:
    """`run` is the whole life of it."""

    def __init__(
        self,
        hub: Hub,
        *,
        proofs: Proofs,
        reviewer: Reviewer,
        pacer: Pacer,
        metrics: IdentityMetrics,
        random: Callable[[], float],
    ) -> None:
        self._hub = hub
        self._proofs = proofs
        self._reviewer = reviewer
        self._pacer = pacer
        self._metrics = metrics
        self._random = random

    async def run(self) -> None:
        """Look at pods that were seen to go at once, at those that are not watched now and then, until cancelled."""
        while True:
            swept = False
            try:
                async with asyncio.timeout(INTERVAL_SECONDS * (0.5 + self._random())):
                    await self._hub.doubts.wait()
            except TimeoutError:
                swept = True
            unanswered = [
                session for session in self._hub.take_doubted(all_unseen=swept) if not await self._look(session)
            ]
            if unanswered:
                await asyncio.sleep(RETRY_SECONDS)
                for session in unanswered:
                    self._hub.doubt(session)

    async def _look(self, session: Session) -> bool:
        peer = session.peer
        try:
            async with self._pacer.turn():
                pod = await self._proofs.pod(peer.namespace, peer.pod)
        except (ProofUnavailableError, IdentityUnavailableError) as error:
            log.info("cannot look whether a pod is there", namespace=peer.namespace, pod=peer.pod, error=str(error))
            return False
        if pod is None or pod.metadata.uid != peer.uid:
            self._reviewer.forget(peer.uid)
            self._metrics.cut_off.inc()
            session.refuse(f"the pod {peer.namespace}/{peer.pod} is gone")
        else:
            self._hub.identified(session, replace(session.peer, labels=pod.metadata.labels, workload=pod.workload))
        return True
