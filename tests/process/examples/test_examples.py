"""The examples hold what they promise."""

import json
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from pointsman.main import app

EXAMPLES = Path(__file__).parents[3] / "examples"
FOLDERS = sorted({file.parent for file in EXAMPLES.glob("*/*.yaml")})
KUBERNETES = EXAMPLES / "kubernetes"
DEMO = EXAMPLES / "demo"
OURS = "Pointsman"


def prompts() -> list[dict[str, object]]:
    return [json.loads(line) for line in (DEMO / "prompts.jsonl").read_text(encoding="utf-8").splitlines()]


def test_there_are_examples() -> None:
    assert {folder.name for folder in FOLDERS} >= {"demo", "quickstart"}


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_the_resources_of_an_example_are_good(folder: Path) -> None:
    result = CliRunner().invoke(app, ["check", "-f", str(folder)])
    assert (result.exit_code, result.stderr) == (0, "")
    assert "modelroutingpolicy.pointsman.dev/" in result.stdout


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_an_example_answers_a_plain_question_with_its_cheap_model(folder: Path) -> None:
    result = CliRunner().invoke(app, ["explain", "-f", str(folder), "What is 2 + 2?"])
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout.startswith("mini (gpt-4o-mini of openai)\n")


def test_every_prompt_of_the_demo_names_where_it_is_from() -> None:
    sources = [prompt["source"] for prompt in prompts()]
    assert set(sources) == {"MMLU", "GSM8K", OURS}
    readme = (DEMO / "README.md").read_text(encoding="utf-8")
    for source in ("MMLU", "GSM8K"):
        assert f"| {sources.count(source)} | {source}, " in readme


def test_the_demo_asks_enough_questions_and_no_more_than_a_sample() -> None:
    public = [prompt for prompt in prompts() if prompt["source"] != OURS]
    assert 50 <= len(public) <= 100
    assert len({str(prompt["prompt"]) for prompt in public}) == len(public)


def test_the_demo_has_a_picture_streams_and_every_kind_of_hint() -> None:
    images = [str(prompt["image"]) for prompt in prompts() if "image" in prompt]
    assert [(DEMO / image).is_file() for image in images] == [True]
    for field in ("stream", "severity", "metadata"):
        assert sum(field in prompt for prompt in prompts()) >= 3


def test_the_provider_that_stands_in_for_openai_differs_from_it_in_address_and_key_alone() -> None:
    def provider(file: Path) -> dict[str, Any]:
        value: dict[str, Any] = yaml.safe_load(file.read_text(encoding="utf-8"))
        del value["spec"]["baseURL"]
        value["spec"].pop("auth", None)
        return value

    stands_in = KUBERNETES / "stub-provider" / "provider.yaml"
    assert provider(stands_in) == provider(EXAMPLES / "quickstart" / "provider.yaml")
    assert "auth:" not in stands_in.read_text(encoding="utf-8")


@pytest.mark.parametrize("folder", ["app", "stub-provider"])
def test_the_images_of_the_example_are_of_the_projects_version(folder: str) -> None:
    project = tomllib.loads((EXAMPLES.parent / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    value = yaml.safe_load((KUBERNETES / folder / "kustomization.yaml").read_text(encoding="utf-8"))

    assert value["images"] == [{"name": "pointsman-examples", "newTag": project}]


def test_the_app_is_where_the_policy_looks_for_it() -> None:
    policy = (EXAMPLES / "quickstart" / "policy.yaml").read_text(encoding="utf-8")
    deployment = yaml.safe_load((KUBERNETES / "app" / "deployment.yaml").read_text(encoding="utf-8"))
    labels = deployment["spec"]["template"]["metadata"]["labels"]
    tickets = re.findall(r'^    \("(\w+)", ', (KUBERNETES / "app" / "app.py").read_text(encoding="utf-8"), re.MULTILINE)

    assert labels == {"app": "support"}
    assert "matchLabels: {app: support}" in policy
    assert len(set(tickets) & {"legal", "medical"}) == 1  # one goes to the flagship
    assert len(tickets) > 1
