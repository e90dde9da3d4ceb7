"""Who is calling, proven: the pod by its token, its labels by the pod."""

from collections.abc import Callable

from pointsman_api.v1 import control_pb2 as control
from pointsman_operator.identity.cache import Proof
from pointsman_operator.identity.proofs import Proofs, ProofUnavailableError
from pointsman_operator.identity.reviewer import Reviewer
from pointsman_operator.push import IdentityUnavailableError, Peer, UnidentifiedError
from pointsman_operator.resources import Key, Pod


class ProvenIdentity:
    """Ignores what a sidecar says of itself. `known` gives the pods that are watched."""

    def __init__(self, reviewer: Reviewer, *, proofs: Proofs, known: Callable[[Key], Pod | None]) -> None:
        self._reviewer = reviewer
        self._proofs = proofs
        self._known = known

    async def identify(self, hello: control.Hello) -> Peer:
        """Return the pod that the hello's token proves."""
        return await self._peer(await self._reviewer.prove(hello.token))

    async def renew(self, peer: Peer, token: str) -> Peer:
        """Return the same pod, proven by another token."""
        proof = await self._reviewer.prove(token)
        if proof.pod.uid != peer.uid:
            raise UnidentifiedError(
                f"the fresh token is of pod {proof.pod.namespace}/{proof.pod.name}, and the stream of another"
            )
        return await self._peer(proof)

    async def _peer(self, proof: Proof) -> Peer:
        pod = await self._pod(proof)
        return Peer(
            namespace=proof.pod.namespace,
            pod=proof.pod.name,
            labels=pod.metadata.labels,
            uid=proof.pod.uid,
            workload=pod.workload,
            expires=proof.ends,
        )

    async def _pod(self, proof: Proof) -> Pod:
        proven = proof.pod
        pod = self._known(Key(proven.namespace, proven.name))
        if pod is None or pod.metadata.uid != proven.uid:
            # Not watched, or not yet.
            try:
                pod = await self._proofs.pod(proven.namespace, proven.name)
            except ProofUnavailableError as error:
                raise IdentityUnavailableError(f"the pod's labels cannot be read now: {error}") from error
        if pod is None or pod.metadata.uid != proven.uid:
            self._reviewer.forget(proven.uid)
            raise UnidentifiedError(f"the pod {proven.namespace}/{proven.name} that the token is bound to is gone")
        return pod
