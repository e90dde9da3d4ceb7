"""The examples hold what they promise."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from pointsman.main import app

EXAMPLES = Path(__file__).parents[3] / "examples"
FOLDERS = sorted({file.parent for file in EXAMPLES.glob("**/*.yaml")})
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
