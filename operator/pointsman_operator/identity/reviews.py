"""What the API server says of a token, and what follows: pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pointsman_operator.push import UnidentifiedError

_USER = "system:serviceaccount:"
_POD_NAME = "authentication.kubernetes.io/pod-name"
_POD_UID = "authentication.kubernetes.io/pod-uid"
_LONGEST_ERROR = 300


@dataclass(frozen=True, kw_only=True)
class ProvenPod:
    """The pod that a token is bound to."""

    namespace: str
    name: str
    uid: str
    service_account: str  # as NAMESPACE:NAME


def judge(status: Mapping[str, Any], *, audience: str) -> ProvenPod:
    """The pod that a TokenReview's status proves. Raise UnidentifiedError, with a sentence, if it proves none."""
    if status.get("authenticated") is not True:
        said = str(status.get("error") or "it gives no reason")[:_LONGEST_ERROR]
        raise UnidentifiedError(f"the API server does not accept the token: {said}")
    # An API server that knows nothing of audiences would accept any token.
    if audience not in _strings(status.get("audiences")):
        raise UnidentifiedError(f"the token is not for the audience {audience}; project one with that audience")
    user = status.get("user")
    if not isinstance(user, Mapping):
        raise UnidentifiedError("the API server does not say whose the token is")
    namespace, _, account = str(user.get("username", "")).removeprefix(_USER).partition(":")
    if not str(user.get("username", "")).startswith(_USER) or not namespace or not account:
        raise UnidentifiedError("the token is no service account's; a sidecar's token is its pod's")
    extra = user.get("extra")
    bound = {name: _strings(extra.get(name)) if isinstance(extra, Mapping) else [] for name in (_POD_NAME, _POD_UID)}
    if any(len(values) != 1 or not values[0] for values in bound.values()):
        raise UnidentifiedError("the token is bound to no pod; mount it as a projected service-account token")
    return ProvenPod(
        namespace=namespace, name=bound[_POD_NAME][0], uid=bound[_POD_UID][0], service_account=f"{namespace}:{account}"
    )


def _strings(value: object) -> list[str]:
    return [each for each in value if isinstance(each, str)] if isinstance(value, list) else []
