"""`pointsman judge` and `pointsman calibrate`."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from pointsman.main import app

GOOD = {"id": "good", "prompt": "Tom has 12 crates of 3 pears. How many?", "response": "12 * 3 = 36 pears."}
BAD = {**GOOD, "id": "bad", "response": "12 * 3 = 38 pears."}


def invoke(*arguments: object, stdin: str | bytes | None = None) -> Result:
    return CliRunner().invoke(app, [str(each) for each in arguments], input=stdin)


def lines(*rows: object) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)


def confidences(result: Result) -> dict[str, float]:
    assert result.exit_code == 0, result.output
    return {row["id"]: row["confidence"] for row in map(json.loads, result.stdout.splitlines())}


def test_a_line_out_for_each_line_in(tmp_path: Path) -> None:
    file = tmp_path / "answers.jsonl"
    file.write_text(lines(GOOD) + "\n" + lines(BAD | {"unheard": "of"}))
    found = confidences(invoke("judge", file))
    assert list(found) == ["good", "bad"]
    assert 0 <= found["bad"] < found["good"] <= 1
    assert confidences(invoke("judge", stdin=lines(GOOD, BAD))) == found
    assert confidences(invoke("judge", "-", stdin=lines(GOOD, BAD))) == found


def test_log_probabilities_come_in_any_form() -> None:
    token = [{"token": "a", "logprob": -2.5}, {"token": "b", "logprob": -0.1}]
    forms = [[-2.5, -0.1], token, {"content": token}, {"content": None}, None, []]
    rows = [GOOD | {"id": str(index), "logprobs": form} for index, form in enumerate(forms)]
    found = list(confidences(invoke("judge", stdin=lines(GOOD, *rows))).values())
    assert found[1] == found[2] == found[3] != found[0]
    assert found[4] == found[5] == found[6] == found[0]


def test_what_was_seen_is_printed_on_request() -> None:
    row = json.loads(invoke("judge", "--signals", stdin=lines(BAD)).stdout)
    assert row["signals"]["has_wrong_sum"] == 1


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("{", "is no JSON: "),
        ("[]", "must be an object"),
        ("[" * 100_000, "is JSON that nobody can read"),
        ('{"id": ' + "9" * 10_000 + "}", "is JSON that nobody can read"),
        ("{}", "id is missing"),
        ('{"id": null}', "id: must be a text or a whole number"),
        ('{"id": 1}', "prompt is missing"),
        ('{"id": 1, "prompt": ""}', "response is missing"),
        (json.dumps(GOOD | {"prompt": 3}), "prompt: must be a text"),
        (json.dumps(GOOD | {"response": None}), "response: must be a text"),
        (json.dumps(GOOD | {"logprobs": "x"}), "logprobs: must be a list of numbers"),
        (json.dumps(GOOD | {"logprobs": [-1, 0.5]}), "logprobs[1]: must be a logarithm"),
        (json.dumps(GOOD | {"logprobs": [{"token": "a"}]}), "logprobs[0]: must be a logarithm"),
        (json.dumps(GOOD | {"refused": 1}), "refused: must be true or false"),
        (b"\xff{}\n", "is no UTF-8 text"),
    ],
)
def test_a_line_that_cannot_be_read_is_named(line: str | bytes, problem: str) -> None:
    before = lines(GOOD).encode()
    result = invoke("judge", stdin=before + (line if isinstance(line, bytes) else line.encode()))
    assert result.exit_code == 2
    assert f"pointsman: standard input, line 2: {problem}" in result.stderr
    assert "Traceback" not in result.stderr
    assert len(result.stdout.splitlines()) == 1


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    result = invoke("judge", tmp_path / "none.jsonl")
    assert result.exit_code == 2
    assert "none.jsonl cannot be read: No such file or directory" in result.stderr


def labelled(count: int, **fields: object) -> str:
    """Answers that are right half as often as is said."""
    rows = [
        {
            "id": index,
            "model": "mini",
            "confidence": index / count,
            "correct": int(index % 4 == 0 and index > count / 2),
        }
        for index in range(count)
    ]
    return lines(*({**row, **fields} for row in rows))


def test_labels_make_a_calibration_that_judge_uses(tmp_path: Path) -> None:
    labels, written = tmp_path / "labels.jsonl", tmp_path / "calibration.json"
    labels.write_text(labelled(200))
    result = invoke("calibrate", labels, "--write", written)
    assert result.exit_code == 0, result.output
    assert "mini, as judged" in result.stdout
    assert "mini, calibrated on half of it, seen on the other" in result.stdout
    assert "expected calibration error" in result.stdout
    raw = confidences(invoke("judge", stdin=lines(GOOD)))
    mapped = confidences(invoke("judge", "--calibration", written, stdin=lines(GOOD | {"model": "mini"})))
    assert mapped["good"] < raw["good"] - 0.2


def test_answers_without_a_confidence_are_judged_first(tmp_path: Path) -> None:
    labels = tmp_path / "labels.jsonl"
    labels.write_text(lines(*[GOOD | {"correct": True}, BAD | {"correct": False}] * 30))
    result = invoke("calibrate", labels)
    assert result.exit_code == 0, result.output
    assert "(no model named)" in result.stdout


def test_a_model_of_few_labels_says_so(tmp_path: Path) -> None:
    labels = tmp_path / "labels.jsonl"
    labels.write_text(labelled(60) + labelled(5, model="new"))
    assert "new: 5 labels; 40 are the least" in invoke("calibrate", labels).stdout


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (labelled(10), "has 10 labels: 40 are the least"),
        (lines({"id": 1, "confidence": 0.5}), "line 1: correct is missing"),
        (lines({"id": 1, "confidence": 2, "correct": 1}), "line 1: confidence: must be a number from 0 to 1"),
        (lines({"id": 1, "correct": 1}), "line 1: prompt is missing"),
        (lines({"id": 1, "confidence": 1, "correct": "yes"}), "line 1: correct: must be a number from 0 to 1"),
    ],
)
def test_labels_that_cannot_be_used_are_named(tmp_path: Path, text: str, problem: str) -> None:
    file = tmp_path / "labels.jsonl"
    file.write_text(text)
    result = invoke("calibrate", file)
    assert result.exit_code == 2
    assert problem in result.stderr


@pytest.mark.parametrize(
    ("text", "problem"), [("{", "is no JSON"), ("{}", "is no calibration of version 1"), (b"\xff", "is no JSON")]
)
def test_what_is_no_calibration_is_refused(tmp_path: Path, text: str | bytes, problem: str) -> None:
    file = tmp_path / "calibration.json"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    result = invoke("judge", "--calibration", file, stdin=lines(GOOD))
    assert result.exit_code == 2
    assert f"calibration.json{'' if problem == 'is no JSON' else ':'} {problem}" in result.stderr


def test_a_calibration_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    labels = tmp_path / "labels.jsonl"
    labels.write_text(labelled(60))
    result = invoke("calibrate", labels, "-w", tmp_path / "none" / "calibration.json")
    assert result.exit_code == 2
    assert "cannot be written: No such file or directory" in result.stderr
