"""The workflows for forks are YAML that asks for nothing it need not have, and call only what is there."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yaml"))
PINNED = re.compile(r"actions/[a-z-]+@v\d+\.\d+\.\d+")


def steps(workflow: Path) -> list[dict[str, Any]]:
    value = yaml.safe_load(workflow.read_text(encoding="utf-8"))
    return [step for job in value["jobs"].values() for step in job["steps"]]


def targets() -> set[str]:
    return set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))


def test_there_is_one_for_kind() -> None:
    assert "kind.yaml" in {workflow.name for workflow in WORKFLOWS}


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda workflow: workflow.name)
def test_a_workflow_calls_only_targets_that_the_makefile_has(workflow: Path) -> None:
    called = {name for step in steps(workflow) for name in re.findall(r"\bmake ([\w-]+)", step.get("run", ""))}

    assert called
    assert called - targets() == set()


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda workflow: workflow.name)
def test_a_workflow_may_read_and_nothing_else(workflow: Path) -> None:
    value = yaml.safe_load(workflow.read_text(encoding="utf-8"))

    assert value["permissions"] == {"contents": "read"}
    assert all("permissions" not in job for job in value["jobs"].values())
    assert "secrets." not in workflow.read_text(encoding="utf-8")


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda workflow: workflow.name)
def test_a_workflow_uses_actions_of_a_stated_version_and_leaves_no_credentials_in_the_checkout(workflow: Path) -> None:
    used = [step["uses"] for step in steps(workflow) if "uses" in step]
    (checkout,) = (step for step in steps(workflow) if step.get("uses", "").startswith("actions/checkout@"))

    assert [action for action in used if not PINNED.fullmatch(action)] == []
    assert checkout["with"]["persist-credentials"] is False


def test_what_the_kind_workflow_installs_is_pinned_where_the_tests_pin_it() -> None:
    text = (ROOT / ".github" / "workflows" / "kind.yaml").read_text(encoding="utf-8")
    found = re.search(r"for module in ([\w ]+); do", text)
    assert found is not None

    for module in found[1].split():
        go_mod = ROOT / "tests" / "cluster" / "binaries" / module / "go.mod"
        assert re.search(r"^tool \S+$", go_mod.read_text(encoding="utf-8"), re.MULTILINE), module
