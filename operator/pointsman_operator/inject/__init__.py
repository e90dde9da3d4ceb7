"""The sidecar in a pod: whether it comes in, and the JSON patch that brings it.

`patch` takes a pod as the API server gives it, a plain mapping, and changes nothing that it does not add: fields that
this version does not know pass through untouched. Everything here is pure; nothing may know how a request for admission
arrives, or import aiohttp or a Kubernetes client.
"""

from pointsman_operator.inject.allowances import CPU, MEMORY, Allowance, AllowanceError, Resource, read_allowance
from pointsman_operator.inject.injection import Injected, NotWanted, Refused, asks, patch
from pointsman_operator.inject.names import CONTAINER, INJECT_LABEL, INJECTED_LABEL, INJECTION_ANNOTATION
from pointsman_operator.inject.sidecar import SidecarSettings, fingerprint

__all__ = [
    "CONTAINER",
    "CPU",
    "INJECTED_LABEL",
    "INJECTION_ANNOTATION",
    "INJECT_LABEL",
    "MEMORY",
    "Allowance",
    "AllowanceError",
    "Injected",
    "NotWanted",
    "Refused",
    "Resource",
    "SidecarSettings",
    "asks",
    "fingerprint",
    "patch",
    "read_allowance",
]
