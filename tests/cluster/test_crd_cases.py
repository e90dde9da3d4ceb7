"""A real API server says of every resource under tests/cases what the offline check says of it, to the letter."""

import json

import pytest

from cases.reading import PROBE_CRDS, Case, cases, kinds
from cluster.harness.cluster import Cluster
from pointsman_operator.schema import documents, rendered, validate

KINDS = kinds()


@pytest.fixture(scope="module", autouse=True)
def served(cluster: Cluster, crds: None) -> None:  # noqa: ARG001 - our kinds must be there
    """Have the cluster know our kinds and the probe."""
    cluster.install_crds(PROBE_CRDS)


def in_any_order(answer: str) -> tuple[str, list[str]]:
    """An answer's head and its causes, which the server lists as its maps come."""
    head, _, causes = answer.partition("\n")
    return head, sorted(causes.splitlines())


@pytest.mark.parametrize("case", cases(verdict="invalid"), ids=str)
def test_kubectl_answers_what_the_offline_check_renders(case: Case, cluster: Cluster) -> None:
    [document] = documents(case.text, source=str(case.path))
    expected = rendered(validate(document.value, definitions=KINDS), source=str(case.path))
    answer = cluster.kubectl("apply", "--dry-run=server", "-f", case.path, check=False)
    assert in_any_order(answer.stderr) == in_any_order(expected)
    assert answer.returncode == 1


@pytest.mark.parametrize("case", cases(verdict="valid"), ids=str)
def test_the_server_stores_what_the_offline_check_returns(case: Case, cluster: Cluster) -> None:
    [document] = documents(case.text, source=str(case.path))
    ours = validate(document.value, definitions=KINDS).object
    theirs = json.loads(cluster.kubectl("apply", "--dry-run=server", "-o", "json", "-f", case.path).stdout)
    assert theirs["spec"] == ours["spec"]
    assert theirs.keys() == ours.keys()
