"""`pointsman score` and `pointsman evaluate`, typed: lines in, lines out, and a sentence where a line is wrong."""

import gzip
import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from pointsman.main import app

_RUNNER = CliRunner()
_QUESTIONS = [
    {"id": f"q{each}", "prompt": f"Question {'very ' * each}long?", "weak_correct": each % 2, "strong_correct": 1}
    for each in range(20)
]


def _file(folder: Path, lines: list[str], name: str = "data.jsonl") -> Path:
    path = folder / name
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def test_each_line_gets_its_score_in_order(tmp_path: Path) -> None:
    path = _file(tmp_path, ['{"id": "a", "prompt": "hi"}', "", '{"id": "é", "prompt": "Prove it.", "more": 1}'])

    result = _RUNNER.invoke(app, ["score", str(path)])

    lines = [json.loads(line) for line in result.stdout.splitlines()]
    assert result.exit_code == 0
    assert [each["id"] for each in lines] == ["a", "é"]
    assert all(0 <= each["score"] <= 1 for each in lines)


def test_lines_come_from_standard_input_too() -> None:
    result = _RUNNER.invoke(app, ["score", "-"], input='{"id": "a", "prompt": "hi"}\n')

    assert json.loads(result.stdout)["id"] == "a"


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("secret", "line 2: this is no JSON at character 1"),
        ('["secret"]', "line 2: this is a list"),
        ('{"prompt": "secret"}', 'line 2: "id" is missing'),
        ('{"id": "b"}', 'line 2: "prompt" is missing'),
        ('{"id": 7, "prompt": "secret"}', 'line 2: "id" is a number'),
        ("[" * 100_000, "line 2: this is no JSON"),
    ],
)
def test_a_line_that_is_wrong_is_named_and_not_repeated(tmp_path: Path, line: str, sentence: str) -> None:
    path = _file(tmp_path, ['{"id": "a", "prompt": "hi"}', line])

    result = _RUNNER.invoke(app, ["score", str(path)])

    assert result.exit_code == 2
    assert sentence in result.stderr
    assert "secret" not in result.stderr
    assert result.stdout.count("\n") == 1


def test_what_is_no_utf_8_is_said(tmp_path: Path) -> None:
    path = tmp_path / "data.jsonl"
    path.write_bytes(b'{"id": "a", "prompt": "\xff"}\n')

    result = _RUNNER.invoke(app, ["score", str(path)])

    assert result.exit_code == 2
    assert "no UTF-8" in result.stderr


def test_a_file_that_is_missing_is_said(tmp_path: Path) -> None:
    result = _RUNNER.invoke(app, ["score", str(tmp_path / "none.jsonl")])

    assert result.exit_code == 2
    assert "cannot be read: No such file" in result.stderr


def test_quality_and_cost_are_told_and_drawn(tmp_path: Path) -> None:
    path, plot = tmp_path / "data.jsonl.gz", tmp_path / "plot.svg"
    path.write_bytes(gzip.compress("\n".join(map(json.dumps, _QUESTIONS)).encode()))

    result = _RUNNER.invoke(app, ["evaluate", str(path), "--draws", "20", "--plot", str(plot)])

    assert result.exit_code == 0, result.stderr
    assert "20 questions; the cheap model gets 50.0% right, the stronger one 100.0%" in result.stdout
    assert "complexity" in result.stdout
    assert "prompt length" in result.stdout
    assert plot.read_text(encoding="utf-8").startswith("<svg")


def test_costs_are_those_of_the_shares(tmp_path: Path) -> None:
    path = _file(tmp_path, list(map(json.dumps, _QUESTIONS)))

    result = _RUNNER.invoke(
        app, ["evaluate", str(path), "--draws", "0", "--weak-price", "1", "--strong-price", "11", "--output", "json"]
    )

    told = json.loads(result.stdout)
    mixes = {each["share"]: each for each in told["mixes"]}
    assert mixes[0]["cost"] == 1
    assert mixes[0.1]["cost"] == pytest.approx(2)
    assert mixes[0.1]["saved"] == pytest.approx(9 / 11)
    assert mixes[1]["accuracy"] == 1
    assert mixes[1]["cost_of_a_point"] == pytest.approx(10 / 50)
    assert told["orders"]["complexity"]["apgr"]["interval"] is None


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ('{"id": "a", "prompt": "hi"}', 'line 1: "weak_correct" must be a number from 0'),
        ('{"id": "a", "prompt": "hi", "weak_correct": 0, "strong_correct": 2}', '"strong_correct" must be a number'),
        ('{"id": "a", "prompt": "hi", "weak_correct": 1, "strong_correct": 1}', "there is no gap to recover"),
        ("", "has no lines"),
    ],
)
def test_results_that_tell_nothing_are_refused(tmp_path: Path, line: str, sentence: str) -> None:
    result = _RUNNER.invoke(app, ["evaluate", str(_file(tmp_path, [line]))])

    assert result.exit_code == 2
    assert sentence in result.stderr


def test_a_stronger_model_that_costs_no_more_is_refused(tmp_path: Path) -> None:
    path = _file(tmp_path, list(map(json.dumps, _QUESTIONS)))

    result = _RUNNER.invoke(app, ["evaluate", str(path), "--weak-price", "3"])

    assert result.exit_code == 2
    assert "--strong-price must be above --weak-price" in result.stderr
