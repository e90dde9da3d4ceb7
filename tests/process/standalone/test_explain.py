"""`pointsman explain` says what would be done with a request, and why."""

import json
from pathlib import Path
from typing import Any

import pytest
from google.protobuf import json_format

from pointsman.requests import Options, build
from pointsman_api.v1 import completions_pb2
from process.standalone.processes import Ended, Invoke, command, lay, running
from pure.cli.resources import namespace, offered, policy, provider, used

ROUTES = [
    {"name": "severe", "when": {"severity": {"in": ["High", "Critical"]}}, "model": "flagship", "fallbacks": []},
    {"name": "legal", "when": {"metadata": {"key": "topic", "in": ["legal"]}}, "model": "flagship"},
]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return lay(tmp_path / "all.yaml", provider(), policy(routes=ROUTES, resilience={"fallbacks": ["flagship"]}))


def explained(invoke: Invoke, *arguments: str | Path) -> dict[str, Any]:
    ended = invoke("explain", "-o", "json", *arguments)
    assert (ended.code, ended.err) == (0, "")
    answer: dict[str, Any] = json.loads(ended.out)
    return answer


def words(ended: Ended) -> list[list[str]]:
    return [line.split() for line in ended.out.splitlines()]


def test_a_person_gets_the_model_the_routes_and_the_order(file: Path) -> None:
    ended = command("explain", "-f", file, "Hello?")
    assert (ended.code, ended.err) == (0, "")
    assert ended.out.splitlines()[:3] == [
        "mini (gpt-4o-mini of openai)",
        "  no route matched, so the default model answers",
        "  about 6 input tokens; policy shop/support",
    ]
    assert words(ended)[3:] == [
        ["ROUTE", "MATCHED", "WHY"],
        ["severe", "no", "not", "severity", "High", "or", "Critical"],
        ["legal", "no", "not", "metadata", "topic", "legal"],
        ["ORDER", "MODEL", "REASON"],
        ["1", "mini", "DEFAULT"],
        ["2", "flagship", "FALLBACK"],
    ]


def test_a_program_gets_the_contracts_own_json(file: Path) -> None:
    ended = command("explain", "-f", file, "-o", "json", "--severity", "high", "Hello?")
    answer = json_format.Parse(ended.out, completions_pb2.ExplainResponse())
    assert (answer.decision.model, answer.decision.route) == ("flagship", "severe")
    assert [step.model for step in answer.plan] == ["flagship"]
    assert answer.decision.message == "route severe matched: severity High"


@pytest.mark.parametrize(
    ("options", "model", "route"),
    [
        ([], "mini", ""),
        (["--severity", "CRITICAL"], "flagship", "severe"),
        (["--severity", "medium"], "mini", ""),
        (["--metadata", "topic=legal", "--metadata", "lang=de"], "flagship", "legal"),
        (["--metadata", "topic=sports"], "mini", ""),
    ],
)
def test_hints_decide(options: list[str], model: str, route: str, file: Path, invoke: Invoke) -> None:
    decision = explained(invoke, "-f", file, "Hello?", *options)["decision"]
    assert (decision["model"], decision.get("route", "")) == (model, route)


def test_labels_of_a_session_decide_and_need_a_session(tmp_path: Path, invoke: Invoke) -> None:
    routes = [{"name": "unhappy", "when": {"negativeFeedback": {"atLeast": 2}}, "model": "flagship"}]
    file = lay(tmp_path / "all.yaml", provider(), policy(routes=routes))

    decided = explained(invoke, "-f", file, "Hello?", "--session", "s-1", "--negative-feedback", "2")
    ended = invoke("explain", "-f", file, "Hello?", "--negative-feedback", "2")

    assert decided["decision"]["route"] == "unhappy"
    assert (ended.code, "name one with --session" in ended.err) == (2, True)


def test_a_picture_goes_to_who_can_see_and_the_others_are_skipped(tmp_path: Path, invoke: Invoke) -> None:
    picture = tmp_path / "bars.png"
    picture.write_bytes(b"\x89PNG")
    blind = provider(models=[offered("gpt-4o-mini", modalities=["Text"]), offered("gpt-4o")])
    file = lay(tmp_path / "all.yaml", blind, policy(resilience={"fallbacks": ["flagship"]}))
    for image in (str(picture), "https://example.org/bars"):
        answer = explained(invoke, "-f", file, "What is it?", "--image", image)
        assert answer["decision"]["model"] == "flagship"
        [skipped] = answer["skipped"]
        assert skipped["model"] == "mini"
        assert "image" in skipped["message"]
    [first, last] = words(invoke("explain", "-f", file, "What is it?", "--image", picture))[-2:]
    assert first == ["1", "flagship", "CAPABILITY"]
    assert last == ["-", "mini", "skipped:", *skipped["message"].split()]


def test_a_recording_that_nobody_hears_is_refused_as_the_sidecar_refuses_it(
    file: Path, tmp_path: Path, invoke: Invoke
) -> None:
    recording = tmp_path / "voice.wav"
    recording.write_bytes(b"RIFF")
    ended = invoke("explain", "-f", file, "Listen", "--audio", recording)
    assert (ended.code, ended.out) == (1, "")
    assert ended.err.startswith("FAILED_PRECONDITION: no model of policy shop/support can serve the request: mini: ")
    assert ended.err.count("audio") == 2


def test_a_recording_goes_to_who_can_hear(tmp_path: Path, invoke: Invoke) -> None:
    recording = tmp_path / "voice.MP3"
    recording.write_bytes(b"ID3")
    hearing = provider(models=[offered("gpt-4o-mini"), offered("gpt-4o", modalities=["Text", "Audio"])])
    file = lay(tmp_path / "all.yaml", hearing, policy())
    assert explained(invoke, "-f", file, "Listen", "--audio", recording)["decision"]["model"] == "flagship"


def test_a_format_that_no_model_takes_is_refused(file: Path, tmp_path: Path, invoke: Invoke) -> None:
    recording = tmp_path / "voice.ogg"
    recording.write_bytes(b"OggS")
    ended = invoke("explain", "-f", file, "Listen", "--audio", recording)
    assert (ended.code, ended.err) == (
        1,
        "INVALID_ARGUMENT: messages[0].content[1].audio.format is 'ogg': give wav or mp3\n",
    )


def test_sizes_decide(tmp_path: Path, invoke: Invoke) -> None:
    long = [{"name": "long", "when": {"estimatedInputTokens": {"atLeast": 50}}, "model": "flagship"}]
    file = lay(tmp_path / "all.yaml", provider(), policy(routes=long))
    prompt = "word " * 60
    assert explained(invoke, "-f", file, "word")["decision"]["model"] == "mini"
    assert explained(invoke, "-f", file, prompt)["decision"]["route"] == "long"
    assert explained(invoke, "-f", file, "word", "--system", prompt)["decision"]["route"] == "long"


def test_the_prompt_can_come_from_standard_input(file: Path) -> None:
    piped = command("explain", "-f", file, "-o", "json", "-", stdin="Hello? " * 100)
    short = command("explain", "-f", file, "-o", "json", "Hello?")
    sizes = [int(json.loads(ended.out)["estimatedInputTokens"]) for ended in (piped, short)]
    assert sizes[0] > 10 * sizes[1]


def test_a_model_can_be_named_where_the_policy_lets_it(file: Path, tmp_path: Path, invoke: Invoke) -> None:
    refused = invoke("explain", "-f", file, "Hello?", "--model", "flagship")
    assert refused.code == 1
    assert "policy shop/support chooses the model itself (allowPinning is false)" in refused.err
    lets = lay(tmp_path / "lets.yaml", provider(), policy(allowPinning=True))
    assert explained(invoke, "-f", lets, "Hello?", "--model", "flagship")["plan"] == [
        {"model": "flagship", "reason": "REASON_PINNED"}
    ]


def test_the_pod_decides_which_policy_it_is(tmp_path: Path, invoke: Invoke) -> None:
    file = lay(
        tmp_path / "all.yaml",
        provider(),
        policy("web", selector={"matchLabels": {"app": "web"}}),
        policy("rest", defaultModel="flagship"),
        policy("till", namespace="till"),
    )
    for options, expected in (
        ([], ("shop", "web")),
        (["--labels", "app=other"], ("shop", "rest")),
        (["-n", "till"], ("till", "till")),
    ):
        found = explained(invoke, "-f", file, "Hello?", *options)["decision"]["policy"]
        assert (found["namespace"], found["name"]) == expected


@pytest.mark.parametrize(
    ("resources", "options", "code", "sentence"),
    [
        ([provider()], [], 2, "pointsman: the files hold no ModelRoutingPolicy: add one\n"),
        (
            [provider(), policy(selector={"matchLabels": {"app": "web"}})],
            ["--labels", "app=till"],
            1,
            "no policy of namespace shop selects a pod with app=till\n",
        ),
        (
            [
                provider(allowedNamespaces={"from": "Selector", "selector": {"matchLabels": {"ai": "allowed"}}}),
                namespace("shop"),
                policy(models=[used("mini", "gpt-4o")], routes=[]),
            ],
            [],
            1,
            (
                "policy shop/support cannot be programmed: spec.models[0].providerRef: ModelProvider openai does not "
                "allow namespace shop; its allowedNamespaces must match the namespace's labels\n"
            ),
        ),
        (
            [provider(), policy(defaultModel="tiny")],
            [],
            1,
            (
                'The ModelRoutingPolicy "support" is invalid: '
                'spec.defaultModel: Invalid value: "object": defaultModel tiny is not the name of one of models\n'
            ),
        ),
    ],
    ids=["no policy", "no policy for the pod", "not programmed", "refused"],
)
def test_where_there_is_nothing_to_explain_it_says_why(
    resources: list[Any], options: list[str], code: int, sentence: str, tmp_path: Path, invoke: Invoke
) -> None:
    file = lay(tmp_path / "all.yaml", *resources)
    assert invoke("explain", "-f", file, "Hello?", *options) == Ended(code=code, out="", err=sentence)


def test_what_a_request_says_is_printed_as_it_is(tmp_path: Path, invoke: Invoke) -> None:
    odd = [{"name": "odd", "when": {"metadata": {"key": "[/x]", "equals": ":smile:"}}, "model": "flagship"}]
    file = lay(tmp_path / "all.yaml", provider(), policy(routes=odd))
    ended = invoke("explain", "-f", file, "Hello?", "--metadata", "[/x]=:smile:")
    assert ended.out.splitlines()[1] == "  route odd matched: metadata [/x] :smile:"
    assert ["odd", "yes", "metadata", "[/x]", ":smile:"] in words(ended)


async def test_a_running_sidecar_explains_the_same(file: Path, tmp_path: Path, invoke: Invoke) -> None:
    options: list[tuple[Options, tuple[str, ...]]] = [
        (Options(prompt="Hello?"), ()),
        (Options(prompt="Hello?", severity="high"), ("--severity=high",)),
        (
            Options(prompt="Hello?", metadata=["topic=legal"], max_tokens=9),
            ("--metadata=topic=legal", "--max-tokens=9"),
        ),
        (Options(prompt="", images=["https://example.org/a"]), ("--image=https://example.org/a",)),
    ]
    async with running("-f", file, log_file=tmp_path / "log") as served:
        for given, arguments in options:
            live = json_format.MessageToDict(await served.app.Explain(build(given)))
            offline = explained(invoke, "-f", file, given.prompt, *arguments)
            assert live["decision"].pop("id") != offline["decision"].pop("id")
            assert live == offline
