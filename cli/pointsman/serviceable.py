"""Whether what files say can be served. Pure."""

from pointsman.worlds import OPERATOR_NAMESPACE, Pod, policies_in
from pointsman_operator.compile import Compiled, compile_policy, grant_access
from pointsman_operator.resources import ModelRoutingPolicy
from pointsman_operator.world import World


def uncompiled(world: World) -> dict[str, str]:
    """Why policies cannot be programmed, by their keys."""
    failed: dict[str, str] = {}
    for key, policy in world.policies.items():
        labels = world.namespace_labels(key.namespace)
        compiled = compile_policy(policy, providers=world.providers, namespace_labels=labels)
        if not isinstance(compiled, Compiled):
            failed[str(key)] = "; ".join(str(problem) for problem in compiled)
    return failed


def keyless(world: World, pod: Pod) -> tuple[str, ...]:
    """Why providers that the pod's policies use cannot be called, although the policies are good."""
    policies = policies_in(world, pod.namespace)
    access = grant_access(
        {
            model.provider_ref.name
            for policy in policies
            if isinstance(policy, ModelRoutingPolicy)
            for model in policy.spec.models
        },
        providers=world.providers,
        namespace=pod.namespace,
        namespace_labels=world.namespace_labels(pod.namespace),
        secrets=world.secrets,
        secrets_namespace=OPERATOR_NAMESPACE,
    )
    return tuple(str(problem) for problem in access.problems)
