"""The verdict that a cluster would give on files: what it would refuse, and what would not be Ready. Pure."""

from dataclasses import dataclass

from pointsman.manifests import Manifests
from pointsman.worlds import policies_in
from pointsman_operator.compile import Compiled, check_provider, check_quota, compile_policy
from pointsman_operator.resources import Key, Problem
from pointsman_operator.world import World


@dataclass(frozen=True, kw_only=True, slots=True)
class Finding:
    """A resource, and what keeps it from being Ready; no problems, no obstacle."""

    kind: str
    key: Key
    problems: tuple[Problem, ...]

    def __str__(self) -> str:
        """Kubectl's way to name a resource."""
        return f"{self.kind.lower()}.pointsman.dev/{self.key}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Report:
    """All that a cluster would say."""

    refused: tuple[str, ...]
    findings: tuple[Finding, ...]
    others: tuple[str, ...]

    @property
    def good(self) -> bool:
        """Whether all would be accepted and could be Ready."""
        return not self.refused and not any(finding.problems for finding in self.findings)


def report(manifests: Manifests, world: World) -> Report:
    """Check each resource of the files. Secrets are not looked for: they are seldom in files, and should not be."""
    findings = [
        Finding(kind="ModelProvider", key=key, problems=check_provider(provider))
        for key, provider in world.providers.items()
    ]
    for key, policy in world.policies.items():
        compiled = compile_policy(
            policy, providers=world.providers, namespace_labels=world.namespace_labels(key.namespace)
        )
        problems = () if isinstance(compiled, Compiled) else compiled
        findings.append(Finding(kind="ModelRoutingPolicy", key=key, problems=problems))
    for key, quota in world.quotas.items():
        problems = check_quota(
            quota,
            providers=world.providers,
            policies=policies_in(world, key.namespace),
        )
        findings.append(Finding(kind="TokenQuota", key=key, problems=problems))
    return Report(
        refused=tuple(each.answer for each in manifests.refused), findings=tuple(findings), others=manifests.others
    )
