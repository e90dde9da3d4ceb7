"""The kinds of object that the operator knows."""

from enum import StrEnum

GROUP = "pointsman.dev"
VERSION = "v1alpha1"


class Kind(StrEnum):
    """A kind, by the name that Kubernetes gives it."""

    POLICY = "ModelRoutingPolicy"
    PROVIDER = "ModelProvider"
    NAMESPACE = "Namespace"
    SECRET = "Secret"  # noqa: S105 - a kind, no secret
    POD = "Pod"


# On the pods that have a sidecar of ours; whatever else runs in the cluster is not watched.
INJECTED_LABEL = f"{GROUP}/injected"
INJECTED_SELECTOR = f"{INJECTED_LABEL}=true"

PLURALS = {Kind.POLICY: "modelroutingpolicies", Kind.PROVIDER: "modelproviders"}
