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


PLURALS = {Kind.POLICY: "modelroutingpolicies", Kind.PROVIDER: "modelproviders"}
