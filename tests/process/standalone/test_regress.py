"""`pointsman regress` asks real sidecars, says what is worse, and writes it where it is told to."""

import asyncio
import json
import os
from pathlib import Path
from typing import Any

import pytest

from pointsman_operator.compile import Standing, read_regressions
from pointsman_stub import Fault, StubProvider
from process.standalone.processes import KEY, KEYED, VARIABLE, WITH_KEY, Ended, command, lay
from pure.cli.resources import Json, offered, policy, provider, used

SECRET_PROMPT = "What did the harbour master whisper?"
SECRET_ANSWER = "Canned answer"
EXAMPLE = Path(__file__).parents[3] / "examples/regress"
MODELS = ("--baseline=mini", "--candidate=flagship")


def asking(name: str, prompt: str = SECRET_PROMPT, *, expect: Json, **request: Any) -> Json:
    return {"name": name, "request": {"messages": [{"role": "user", "content": prompt}], **request}, "expect": expect}


ANSWERS = asking("answers", expect={"contains": SECRET_ANSWER, "finishReason": "stop", "maxOutputTokens": 300})
AS_JSON = asking(
    "as-json", f"{SECRET_PROMPT} As JSON.", expect={"validJSON": True}, response_format={"type": "json_object"}
)
NEVER = asking("never", expect={"contains": "what no model says"})


@pytest.fixture
def suite(tmp_path: Path) -> Path:
    return write(tmp_path, ANSWERS, AS_JSON, NEVER)


def write(folder: Path, *cases: Json) -> Path:
    file = folder / "suite.yaml"
    file.write_text(json.dumps({"suite": "answers", "cases": cases}), encoding="utf-8")
    return file


def files(folder: Path, stub: StubProvider, name: str = "all.yaml", **spec: Any) -> Path:
    return lay(folder / name, provider(baseURL=stub.base_url, auth=KEYED), policy(**spec))


async def regress(*arguments: str | Path, **env: str) -> Ended:
    return await asyncio.to_thread(command, "regress", *arguments, *WITH_KEY, env={VARIABLE: KEY, **env})


def kubectl(folder: Path, script: str) -> dict[str, str]:
    """A kubectl that does as the script does, first on the PATH."""
    tool = folder / "bin" / "kubectl"
    tool.parent.mkdir()
    tool.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
    tool.chmod(0o755)
    return {"PATH": f"{tool.parent}:{os.environ['PATH']}"}


async def test_a_candidate_that_is_as_good_passes(tmp_path: Path, suite: Path, stub: StubProvider) -> None:
    ended = await regress(suite, "-f", files(tmp_path, stub), *MODELS)

    head, _, baseline, candidate, failed, verdict = ended.out.splitlines()
    assert ended.code == 0, ended.err
    assert head == "answers, 3 cases: mini (openai/gpt-4o-mini) beside flagship (openai/gpt-4o)"
    assert baseline.split()[:3] == ["baseline", "2", "1"]
    assert candidate.split()[:3] == ["candidate", "2", "1"]
    assert failed == "failed by both sides: never: contains (not in the answer)"
    assert verdict == "passed: 0 of 3 cases regressed, 0 allowed"
    assert sorted(request.model for request in stub.requests) == ["gpt-4o"] * 3 + ["gpt-4o-mini"] * 3
    assert ended.err == ""


async def test_one_that_regresses_is_told_by_case_and_property(tmp_path: Path, suite: Path, stub: StubProvider) -> None:
    stub.set_faults(Fault(model="gpt-4o", odd="filtered"))
    ended = await regress(suite, "-f", files(tmp_path, stub), *MODELS, "--repeat=3", "--concurrency=1")
    allowed = await regress(suite, "-f", files(tmp_path, stub), *MODELS, "--allow=1")

    assert ended.code == 1
    assert "REGRESSED answers: finishReason (content_filter, not stop, 3 of 3 times)" in ended.out.splitlines()
    assert ended.out.splitlines()[-1] == "FAILED: 1 of 3 cases regressed, 0 allowed"
    assert allowed.code == 0
    assert len(stub.requests) == 2 * 3 * 3 + 2 * 3


async def test_one_that_does_not_answer_regresses(tmp_path: Path, suite: Path, stub: StubProvider) -> None:
    stub.set_faults(Fault(model="gpt-4o", status=503))
    ended = await regress(suite, "-f", files(tmp_path, stub), *MODELS)

    told = "answered (no answer: no_model_answered (flagship PROVIDER_FAILED))"
    assert ended.code == 1
    assert f"REGRESSED answers: {told}" in ended.out.splitlines()
    assert f"REGRESSED as-json: {told}" in ended.out.splitlines()


async def test_where_the_baseline_does_not_answer_nothing_passes(
    tmp_path: Path, suite: Path, stub: StubProvider
) -> None:
    stub.set_faults(Fault(status=503))
    ended = await regress(suite, "-f", files(tmp_path, stub), *MODELS, "--allow=9")

    assert ended.code == 1
    assert ended.out.splitlines()[-1] == "FAILED: 3 cases could not be compared: the baseline gave no answer"


async def test_two_policies_are_compared_with_the_models_that_they_choose(tmp_path: Path, stub: StubProvider) -> None:
    headers = {"x-pointsman-severity": "high"}
    suite = write(tmp_path, {**asking("severe", expect={"model": "flagship"}), "headers": headers}, ANSWERS)
    candidate = lay(tmp_path / "candidate.yaml", policy(routes=[]))
    ended = await regress(suite, "-f", files(tmp_path, stub), "--candidate-file", candidate)

    assert ended.code == 1
    assert ended.out.splitlines()[0] == "answers, 2 cases: the baseline's policy beside the candidate's policy"
    assert "REGRESSED severe: model (mini, not flagship)" in ended.out.splitlines()


async def test_the_arms_of_a_split_are_compared(tmp_path: Path, suite: Path, stub: StubProvider) -> None:
    arms = [{"model": "mini", "weight": 100}, {"model": "flagship", "weight": 0}]
    route = {"name": "trial", "when": {"severity": {"in": ["Low"]}}, "split": {"arms": arms}}
    ended = await regress(suite, "-f", files(tmp_path, stub, routes=[route]), "--route=trial")

    assert ended.code == 0
    assert sorted({request.model for request in stub.requests}) == ["gpt-4o", "gpt-4o-mini"]


async def test_the_report_has_numbers_and_names_and_nothing_that_was_said(
    tmp_path: Path, suite: Path, stub: StubProvider
) -> None:
    stub.set_faults(Fault(model="gpt-4o", odd="filtered"))
    ended = await regress(
        suite, "-f", files(tmp_path, stub), *MODELS, "--json", tmp_path / "report.json", "--log-level=DEBUG"
    )
    text = (tmp_path / "report.json").read_text(encoding="utf-8")
    report = json.loads(text)

    assert (report["passed"], report["regressions"], report["allowed"]) == (False, 1, 0)
    assert [(each["name"], each["regressed"]) for each in report["cases"]] == [
        ("answers", True),
        ("as-json", False),
        ("never", False),
    ]
    assert report["candidate"]["model"] == "openai/gpt-4o"
    assert float(report["candidate"]["cost_per_1000_calls"]["USD"]) > float(
        report["baseline"]["cost_per_1000_calls"]["USD"]
    )
    for secret in (SECRET_PROMPT, SECRET_ANSWER, KEY):
        assert secret not in text + ended.out + ended.err


async def test_a_result_is_recorded_as_the_operator_reads_it(tmp_path: Path, suite: Path, stub: StubProvider) -> None:
    env = kubectl(tmp_path, f'for each in "$@"; do echo "$each"; done > {tmp_path}/called; echo annotated')
    stub.set_faults(Fault(model="gpt-4o", odd="filtered"))
    ended = await regress(suite, "-f", files(tmp_path, stub), *MODELS, "--record=shop/support", **env)
    *called, annotation = (tmp_path / "called").read_text(encoding="utf-8").splitlines()
    name, _, result = annotation.partition("=")
    read = read_regressions({name: result}, suite="answers", baseline="openai/gpt-4o-mini", candidate="openai/gpt-4o")

    assert ended.code == 1
    assert ended.out.splitlines()[-1] == "annotated"
    assert called == [
        "annotate",
        "--overwrite",
        "--namespace=shop",
        "modelroutingpolicies.pointsman.dev",
        "support",
    ]
    assert read.standing is Standing.FAILED
    assert "1 regressions in 3 cases" in read.message


async def test_what_kubectl_refuses_is_said(tmp_path: Path, suite: Path, stub: StubProvider) -> None:
    env = kubectl(tmp_path, "echo 'E1126 a line of log' >&2; echo 'Error from server (Forbidden): no' >&2; exit 1")
    ended = await regress(suite, "-f", files(tmp_path, stub), *MODELS, "--record=shop/support", **env)

    assert ended.code == 2
    assert ended.err == (
        "pointsman: the result was not recorded at shop/support: kubectl says: Error from server (Forbidden): no\n"
    )


async def test_without_kubectl_no_model_is_called(tmp_path: Path, suite: Path, stub: StubProvider) -> None:
    ended = await regress(suite, "-f", files(tmp_path, stub), *MODELS, "--record=shop/support", PATH=str(tmp_path))

    assert ended.code == 2
    assert ended.err == (
        "pointsman: --record needs kubectl, and there is none on the PATH: install it, or leave --record out\n"
    )
    assert list(stub.requests) == []


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ((), "say in one way what is compared: --baseline MODEL --candidate MODEL, --route NAME or --candidate-file"),
        ((*MODELS, "--route=severe"), "say in one way what is compared: "),
        (("--baseline=mini",), "--candidate is missing: name the models of both sides"),
        ((*MODELS, "--record=support"), "--record support names no policy: write NAMESPACE/NAME, such as "),
        ((*MODELS, "--log-level=LOUD"), "LOUD"),
    ],
)
async def test_options_that_cannot_be_meant_are_refused(
    options: tuple[str, ...], expected: str, tmp_path: Path, suite: Path, stub: StubProvider
) -> None:
    ended = await regress(suite, "-f", files(tmp_path, stub), *options)

    assert ended.code == 2
    assert expected in ended.err
    assert "Traceback" not in ended.err
    assert list(stub.requests) == []


async def test_a_bad_suite_a_policy_that_is_none_and_a_key_that_is_missing_are_refused(
    tmp_path: Path, suite: Path, stub: StubProvider
) -> None:
    good = files(tmp_path, stub)
    (tmp_path / "bad").mkdir()
    bad = write(tmp_path / "bad", NEVER, NEVER)
    strange = lay(
        tmp_path / "strange.yaml",
        provider(baseURL=stub.base_url, models=[offered("gpt-4o")]),
        policy(models=[used("mini", "gpt-4o"), used("flagship", "gpt-9")]),
    )
    twice = await regress(bad, "-f", good, *MODELS)
    unknown = await regress(suite, "-f", strange, *MODELS)
    keyless = await asyncio.to_thread(command, "regress", suite, "-f", good, *MODELS)

    assert (twice.code, unknown.code, keyless.code) == (2, 2, 2)
    assert twice.err == f"pointsman: {bad}:1: cases[1].name: never is that of line 1 too\n"
    assert "gpt-9" in unknown.err
    assert "--secret NAME/KEY=VARIABLE" in keyless.err
    assert list(stub.requests) == []


async def test_the_example_passes_with_canned_answers(tmp_path: Path) -> None:
    async with StubProvider.running(models=["gpt-4.1-mini"]) as stub:
        text = (EXAMPLE / "policy.yaml").read_text(encoding="utf-8")
        file = tmp_path / "policy.yaml"
        file.write_text(text.replace("http://127.0.0.1:9321/v1", stub.base_url), encoding="utf-8")
        ended = await regress(EXAMPLE / "suites/support-answers.yaml", "-f", file, "--route=new-model")

    assert ended.code == 0, ended.out
    assert {request.model for request in stub.requests} == {"gpt-4o-mini", "gpt-4.1-mini"}
