"""What `pointsman run` cannot do is said in a sentence before it serves anything."""

import socket
from pathlib import Path

import pytest

from process.standalone.processes import KEY, KEYED, VARIABLE, Ended, Invoke, command, lay
from pure.cli.resources import namespace, policy, provider, secret, used

ANYWHERE = ("--listen=127.0.0.1:0", "--http-listen=127.0.0.1:0", "--status-listen=127.0.0.1:0")
CLOSED = provider(allowedNamespaces={"from": "Selector", "selector": {"matchLabels": {"ai": "allowed"}}})
HINT = "Give a key with --secret NAME/KEY=VARIABLE, by the Secret and key that auth names"


@pytest.fixture
def good(tmp_path: Path) -> Path:
    return lay(tmp_path / "good.yaml", provider(), policy())


def refused(*arguments: str | Path) -> Ended:
    """A run that must end by itself."""
    return command("run", *arguments, env={VARIABLE: KEY, "OF_TWO_LINES": "sk-a\nsk-b"})


@pytest.mark.parametrize("option", ["--listen", "--http-listen", "--status-listen"])
def test_a_port_in_use_is_one_sentence(option: str, good: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ended = refused("-f", good, *ANYWHERE, f"{option}=127.0.0.1:{port}")
    assert (ended.code, ended.out) == (2, "")
    assert ended.err.startswith(f"pointsman: cannot listen on 127.0.0.1:{port}: ")
    assert ended.err.count("\n") == 1


def test_a_folder_that_keeps_no_state_is_refused(tmp_path: Path, good: Path) -> None:
    (tmp_path / "file").touch()
    assert refused("-f", good, *ANYWHERE, f"--state-dir={tmp_path}/file/state") == Ended(
        code=2,
        out="",
        err=f"pointsman: --state-dir {tmp_path}/file/state cannot be used: Not a directory; give another folder\n",
    )
    (tmp_path / "user-key").write_text("mine")
    assert refused("-f", good, *ANYWHERE, f"--state-dir={tmp_path}") == Ended(
        code=2,
        out="",
        err=f"pointsman: {tmp_path}/user-key holds no key of ours; remove it to have a new one made\n",
    )


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (
            ["--ledger-redis-url=redis://:hunter2@localhost"],
            "--ledger-redis-url: the URL of Redis has a password in it, which others could read: put it into a file",
        ),
        (
            ["--ledger-redis-password-file=password"],
            "--ledger-redis-password-file does nothing without --ledger-redis-url; name the server, or leave it out",
        ),
    ],
)
def test_a_redis_that_cannot_be_meant_is_refused(arguments: list[str], sentence: str, good: Path) -> None:
    assert refused("-f", good, *ANYWHERE, *arguments) == Ended(code=2, out="", err=f"pointsman: {sentence}\n")


def test_a_namespace_that_the_provider_does_not_allow_is_refused_at_start(tmp_path: Path) -> None:
    file = lay(tmp_path / "all.yaml", CLOSED, namespace("shop"), policy(models=[used("mini", "gpt-4o")], routes=[]))
    assert refused("-f", file, *ANYWHERE) == Ended(
        code=1,
        out="",
        err="policy shop/support cannot be programmed: spec.models[0].providerRef: ModelProvider openai does not allow "
        "namespace shop; its allowedNamespaces must match the namespace's labels\n",
    )


def test_a_key_that_nobody_gave_is_asked_for(tmp_path: Path) -> None:
    file = lay(tmp_path / "all.yaml", provider(auth=KEYED), policy(), secret("other", stringData={"api-key": "x"}))
    assert refused("-f", file, *ANYWHERE) == Ended(
        code=2,
        out="",
        err="pointsman: ModelProvider openai: Secret openai in namespace pointsman-system does not exist; create it\n"
        f"{HINT}\n",
    )


def test_a_key_that_no_header_can_carry_is_refused_unseen(tmp_path: Path) -> None:
    file = lay(tmp_path / "all.yaml", provider(auth=KEYED), policy())
    ended = refused("-f", file, "--secret=openai/api-key=OF_TWO_LINES", *ANYWHERE)
    assert ended.code == 2
    assert "holds no usable API key under api-key: one line of ASCII characters is needed" in ended.err
    assert "sk-a" not in ended.err


def test_files_that_a_cluster_would_refuse_are_refused_with_its_sentence(tmp_path: Path, invoke: Invoke) -> None:
    file = lay(tmp_path / "all.yaml", provider(), policy(defaultModel="tiny"))
    ended = refused("-f", file, *ANYWHERE)
    assert ended.code == 1
    assert ended.err == invoke("check", "-f", file).err
    assert "defaultModel tiny is not the name of one of models" in ended.err


def test_standard_input_cannot_be_followed() -> None:
    assert refused("-f", "-") == Ended(
        code=2,
        out="",
        err="pointsman: run follows its files, and standard input cannot be followed: give files or folders\n",
    )


def test_a_socket_that_finds_no_place_is_a_sentence(tmp_path: Path, good: Path) -> None:
    long = tmp_path / ("x" * 100)
    long.mkdir()
    ended = command("run", "-f", good, *ANYWHERE, env={"TMPDIR": str(long)})
    assert ended.code == 2
    assert ended.err.startswith(f"pointsman: cannot make a socket in {long}/pointsman-")
    assert ended.err.endswith("set TMPDIR to a folder with a short path of plain characters\n")
    assert ended.err.count("\n") == 1
    assert list(long.iterdir()) == []


@pytest.mark.parametrize(
    ("option", "sentence"),
    [
        (
            "--secret=openai/api-key=SET_BY_NOBODY",
            "--secret openai/api-key=SET_BY_NOBODY: the environment variable SET_BY_NOBODY is not set",
        ),
        (
            "--secret=openai/api-key=sk-given-by-mistake",  # which is not repeated
            "with the name of an environment variable, such as openai/api-key=OPENAI_API_KEY",
        ),
        ("--listen=0.0.0.0:8081", "'0.0.0.0:8081' is not on loopback: the door is for the apps of its own pod"),
        ("--status-listen=8082", "'8082' is no address: write host:port, such as 127.0.0.1:8081"),
        ("--log-level=LOUD", "'LOUD' is no level: write DEBUG, INFO, WARNING or ERROR"),
        ("--labels=app", "--labels: 'app' is no label: write key=value, several with commas"),
    ],
)
def test_each_option_has_its_sentence(
    option: str, sentence: str, good: Path, invoke: Invoke, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GRPC_VERBOSITY", "NONE")  # which the command would set for the rest of the tests
    ended = invoke("run", "-f", good, option)
    assert (ended.code, ended.out) == (2, "")
    assert sentence in ended.err
    assert "by-mistake" not in ended.err
    assert ended.err.count("\n") == 1


def test_a_calibration_that_is_none_is_refused(tmp_path: Path, good: Path) -> None:
    wrong = tmp_path / "calibration.json"
    wrong.write_text("{}")

    ended = refused("-f", good, *ANYWHERE, f"--calibration={wrong}")

    assert ended == Ended(
        code=2,
        out="",
        err=f"pointsman: {wrong}: is no calibration of version 1: write one with `pointsman calibrate`\n",
    )
