"""Whether a canary may take its next step, where the policy names a suite of regressions for it: pure."""

from pointsman_operator.compile import provider_model, read_regressions
from pointsman_operator.resources.policy import ModelRoutingPolicy
from pointsman_operator.tuning.kept_splits import Gate
from pointsman_operator.tuning.splits import SplitRule, SplitState


def suite_gate(policy: ModelRoutingPolicy) -> Gate:
    """What holds the policy's splits back: a suite that the canary has not passed beside the stable arm."""
    suites = {route.name: route.split.suite for route in policy.spec.routes if route.split and route.split.suite}

    def gate(rule: SplitRule, _state: SplitState) -> str:
        suite = suites.get(rule.route)
        if suite is None:
            return ""
        return read_regressions(
            policy.metadata.annotations,
            suite=suite,
            baseline=provider_model(policy, rule.stable),
            candidate=provider_model(policy, rule.canary),
        ).message

    return gate
