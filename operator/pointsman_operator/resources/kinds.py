"""The kinds of object that the operator knows."""

from enum import StrEnum

GROUP = "pointsman.dev"
VERSION = "v1alpha1"


class Kind(StrEnum):
    """A kind, by the name that Kubernetes gives it."""

    POLICY = "ModelRoutingPolicy"
    PROVIDER = "ModelProvider"
    QUOTA = "TokenQuota"
    NAMESPACE = "Namespace"
    SECRET = "Secret"  # noqa: S105 - a kind, no secret
    POD = "Pod"


# On the pods that have a sidecar of ours; whatever else runs in the cluster is not watched.
INJECTED_LABEL = f"{GROUP}/injected"
INJECTED_SELECTOR = f"{INJECTED_LABEL}=true"
# Of such a pod: tells injections apart that differ in image or settings.
INJECTION_ANNOTATION = f"{GROUP}/injection"
# Of a pod or its namespace: "true" asks for the sidecar; a pod's "false" declines.
INJECT_LABEL = f"{GROUP}/inject"
# Of a policy: what `pointsman regress` found, one annotation for each suite, named after this prefix.
REGRESSION_PREFIX = f"regression.{GROUP}/"
# Kubernetes' own, of a pod that shows a file of its node to the API server.
MIRROR_ANNOTATION = "kubernetes.io/config.mirror"

PLURALS = {Kind.POLICY: "modelroutingpolicies", Kind.PROVIDER: "modelproviders", Kind.QUOTA: "tokenquotas"}
