"""kind-config.yaml is what kind reads, by its own types: unknown fields are refused, as `kind create cluster` does."""

import subprocess
from pathlib import Path

import pytest
import yaml

from cluster.harness.node.first_answer import KIND_NAME
from cluster.harness.node.places import KIND_CONFIG

HEAD = "kind: Cluster\napiVersion: kind.x-k8s.io/v1alpha4\n"


def read(kind_config: Path, text: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([kind_config], input=text, capture_output=True, text=True, check=False)


def test_kind_takes_the_configuration_of_the_repository(kind_config: Path) -> None:
    answer = read(kind_config, KIND_CONFIG.read_text(encoding="utf-8"))

    assert (answer.returncode, answer.stderr) == (0, "")
    cluster = yaml.safe_load(answer.stdout)
    assert cluster["name"] == KIND_NAME
    assert [node["role"] for node in cluster["nodes"]] == ["control-plane"]
    # Whatever Kubernetes this version of kind brings has native sidecars.
    minor = int(cluster["nodes"][0]["image"].partition(":v1.")[2].partition(".")[0])
    assert minor >= 29


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (f"{HEAD}nodes:\n- rol: control-plane\n", "line 4: field rol not found in type v1alpha4.Node"),
        (f"{HEAD}networkin: {{}}\n", "line 3: field networkin not found in type v1alpha4.Cluster"),
        (f"{HEAD}nodes: control-plane\n", "line 3: cannot unmarshal !!str"),
        (HEAD.replace("v1alpha4", "v1alpha5"), 'apiVersion "kind.x-k8s.io/v1alpha5"'),
        (f"{HEAD}---\n{HEAD}", "there is more than one document"),
    ],
    ids=["a node's field misspelt", "a cluster's field misspelt", "no list", "another version", "two documents"],
)
def test_what_kind_would_not_take_is_refused(kind_config: Path, text: str, sentence: str) -> None:
    answer = read(kind_config, text)

    assert answer.returncode == 1
    assert sentence in answer.stderr
