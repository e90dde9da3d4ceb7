"""The resources as values: what the API server says, parsed once, and frozen.

No I/O, no clock, and no judgement on whether a policy can be programmed: that is `compile`'s. A spec that cannot be
read becomes an `Unreadable`, which travels in the resource's place and ends as a condition.
"""

from pointsman_operator.resources.kinds import Kind
from pointsman_operator.resources.metadata import Key, Metadata
from pointsman_operator.resources.objects import Namespace, Pod, Secret
from pointsman_operator.resources.parse import (
    MalformedObjectError,
    has_ended,
    parse_metadata,
    parse_namespace,
    parse_pod,
    parse_policy,
    parse_provider,
    parse_quota,
    parse_secret,
)
from pointsman_operator.resources.policy import ModelRoutingPolicy
from pointsman_operator.resources.problem import Problem
from pointsman_operator.resources.provider import ModelProvider
from pointsman_operator.resources.quota import TokenQuota
from pointsman_operator.resources.selector import LabelSelector
from pointsman_operator.resources.unreadable import Unreadable

__all__ = [
    "Key",
    "Kind",
    "LabelSelector",
    "MalformedObjectError",
    "Metadata",
    "ModelProvider",
    "ModelRoutingPolicy",
    "Namespace",
    "Pod",
    "Problem",
    "Secret",
    "TokenQuota",
    "Unreadable",
    "has_ended",
    "parse_metadata",
    "parse_namespace",
    "parse_pod",
    "parse_policy",
    "parse_provider",
    "parse_quota",
    "parse_secret",
]
