"""A suite's result on a real API server: written by a user's kubectl, read as the operator reads it."""

import asyncio
import json
import os
from pathlib import Path

from cluster.harness.cluster import Cluster
from pointsman_operator.compile import Standing, provider_model, read_regressions
from pointsman_operator.resources import Kind, ModelRoutingPolicy
from pointsman_operator.world import Change, World
from pointsman_stub import StubProvider
from process.standalone.processes import Ended, command, lay
from pure.cli.resources import policy, provider, text

RULE = {"apiGroups": ["pointsman.dev"], "resources": ["modelroutingpolicies"], "verbs": ["get", "patch"]}
SUITE = {
    "suite": "answers",
    "cases": [
        {
            "name": "hello",
            "request": {"messages": [{"role": "user", "content": "Hello?"}]},
            "expect": {"contains": "Hello?"},
        }
    ],
}


def may_edit(cluster: Cluster, namespace: str, account: str) -> None:
    """Let a service account edit the namespace's policies, and nothing else."""
    of = {"apiVersion": "rbac.authorization.k8s.io/v1", "metadata": {"name": account}}
    role = {**of, "kind": "Role", "rules": [RULE]}
    binding = {
        **of,
        "kind": "RoleBinding",
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": account},
        "subjects": [{"kind": "ServiceAccount", "name": account, "namespace": namespace}],
    }
    cluster.apply(text(role, binding), namespace=namespace)


async def test_who_may_edit_the_policy_records_a_result_and_nobody_else(
    cluster: Cluster, crds: None, tmp_path: Path
) -> None:
    del crds
    namespace = cluster.namespace("shop")
    cluster.apply(text(policy(namespace=None)), namespace=namespace)
    editor, other = (cluster.kubeconfig_for(name, namespace=namespace) for name in ("editor", "other"))
    may_edit(cluster, namespace, "editor")
    suite = tmp_path / "suite.yaml"
    suite.write_text(json.dumps(SUITE), encoding="utf-8")

    async def recorded(kubeconfig: Path, stub: StubProvider) -> Ended:
        file = lay(tmp_path / "all.yaml", provider(baseURL=stub.base_url), policy(namespace=namespace))
        env = {
            "KUBECONFIG": str(kubeconfig),
            "KUBECACHEDIR": str(cluster.kubectl.cache),
            "PATH": f"{cluster.kubectl.binary.parent}:{os.environ['PATH']}",
        }
        return await asyncio.to_thread(
            command,
            "regress",
            suite,
            "-f",
            file,
            "--baseline=mini",
            "--candidate=flagship",
            f"--record={namespace}/support",
            env=env,
        )

    async with StubProvider.running() as stub:
        refused = await recorded(other, stub)
        passed = await recorded(editor, stub)
    value = json.loads(cluster.kubectl("get", "mrp", "support", "-n", namespace, "-o", "json").stdout)
    [known] = World().observe(Kind.POLICY, Change.WRITTEN, value).policies.values()
    assert isinstance(known, ModelRoutingPolicy)
    baseline, candidate = (provider_model(known, name) for name in ("mini", "flagship"))
    annotations = known.metadata.annotations

    assert refused.code == 2
    assert "kubectl says: Error from server (Forbidden): " in refused.err
    assert (passed.code, passed.err) == (0, "")
    assert passed.out.endswith("support annotated\n")
    assert list(annotations) == ["regression.pointsman.dev/answers"]
    assert value["metadata"]["generation"] == 1
    found = read_regressions(annotations, suite="answers", baseline=baseline, candidate=candidate)
    swapped = read_regressions(annotations, suite="answers", baseline=candidate, candidate=baseline)
    assert (found.standing, swapped.standing) == (Standing.PASSED, Standing.ABSENT)
