"""Who may speak as a replica: the pods of the operator's own service account, by tokens made for nothing else."""

import base64
import json

from pointsman_operator.identity import Reviewer
from pointsman_operator.push import UnidentifiedError

_SUBJECT = "system:serviceaccount:"


class ReplicaIdentity:
    """Believes a token whose service account is `account`, as NAMESPACE:NAME."""

    def __init__(self, reviewer: Reviewer, *, account: str) -> None:
        self._reviewer = reviewer
        self._account = account

    async def expiry(self, token: str) -> float:
        """When the proof that a token is ends, in seconds since 1970.

        Raise UnidentifiedError or IdentityUnavailableError.
        """
        proof = await self._reviewer.prove(token)
        if proof.pod.service_account != self._account:
            raise UnidentifiedError(
                f"the token is of service account {proof.pod.service_account}, and replicas are of {self._account}"
            )
        return proof.ends


def account_of(token: str) -> str:
    """The service account, as NAMESPACE:NAME, of a token of one's own; ValueError if it is none."""
    try:
        payload = token.split(".")[1]
        subject = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))["sub"]
    except (LookupError, TypeError, ValueError):
        raise ValueError("it is no service-account token") from None
    if not isinstance(subject, str) or not subject.startswith(_SUBJECT):
        raise ValueError("it is no service account's")
    return subject.removeprefix(_SUBJECT)
