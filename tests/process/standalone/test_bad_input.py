"""Whatever is given, the answer is a sentence and an exit code, and never a traceback."""

import re
from pathlib import Path

import pytest

from process.standalone.processes import Invoke, command, lay
from pure.cli.resources import namespace, policy, provider, secret, text

NO_OBJECT = (1, 'error: error validating "{file}": error validating data: invalid object to validate')
NOTHING = (2, "pointsman: {file}: no resources found")
FILES: dict[str, tuple[bytes, tuple[int, str]]] = {
    "empty": (b"", NOTHING),
    "only comments": (b"# nothing\n---\n# at all\n", NOTHING),
    "null": (b"null\n", NOTHING),
    "a list": (b"[]\n", NO_OBJECT),
    "a text": (b"just text\n", NO_OBJECT),
    "a number": (b"5\n", NO_OBJECT),
    "no YAML": (b"a: [", (2, "pointsman: {file}:1:5: ")),
    "a key twice": (b"a: 1\na: 2\n", (2, "pointsman: {file}:2:1: the key 'a' stands twice, first in line 1")),
    "an unknown alias": (b"a: *b\n", (2, "pointsman: {file}:1:4: *b has no &b before it")),
    "a tab": (b"a:\n\t- b\n", (2, "pointsman: {file}:2:1: ")),
    "binary": (bytes(range(256)), (2, "pointsman: {file} cannot be read: 'utf-8' codec can't decode byte")),
    "control characters": (b"a: \x01\n", (2, "pointsman: {file}:1:4: the character U+0001 is not allowed here")),
    "UTF-16": ("a: 1".encode("utf-16"), (2, "pointsman: {file} cannot be read: 'utf-8' codec")),
    "lists in lists": (b"[" * 100_000, (2, "pointsman: {file}:1:102: values nest more than 100 deep")),
    "maps in maps": (b'{"a":' * 100_000, (2, "pointsman: {file}:1:502: values nest more than 100 deep")),
    "a bomb": (
        b"a: &a [x, x, x, x, x, x, x, x]\n"
        + b"".join(b"%c: &%c [%s]\n" % (n, n, b",".join([b"*%c" % (n - 1)] * 8)) for n in range(98, 112)),
        (2, "aliases blow this document up"),
    ),
    "a namespace of odd labels": (text(namespace("shop", ai=True)).encode(), (1, 'error: unable to decode "{file}"')),
    "a secret of odd data": (
        text(secret("openai", data={"k": [1]})).encode(),
        (1, "Secret openai in {file}:1: data must hold a text, in quotes, for each key"),
    ),
    "a kind that is a list": (b"apiVersion: pointsman.dev/v1alpha1\nkind: [a]\n", (1, "kind isn't string type")),
    "items that are none": (b"apiVersion: v1\nkind: List\nitems: [5]\n", NO_OBJECT),
}


@pytest.mark.parametrize("name", FILES)
def test_a_file_that_makes_no_sense_gets_a_sentence(name: str, tmp_path: Path, invoke: Invoke) -> None:
    content, (code, sentence) = FILES[name]
    file = tmp_path / "file.yaml"
    file.write_bytes(content)
    for ended in (invoke("check", "-f", file), invoke("explain", "-f", file, "Hello")):
        assert ended.code == code
        assert sentence.format(file=file) in ended.err
        assert ended.out == ""


def test_paths_that_lead_nowhere_get_a_sentence(tmp_path: Path, invoke: Invoke) -> None:
    (tmp_path / "nothing.yaml").symlink_to(tmp_path / "nowhere")
    (tmp_path / "memory.yaml").symlink_to("/proc/self/mem")  # that it cannot be read is true for root too
    (tmp_path / "without").mkdir()
    for path, reason in {
        tmp_path / "missing.yaml": "No such file or directory",
        tmp_path / "nothing.yaml": "No such file or directory",
        tmp_path / "memory.yaml": "Input/output error",
        tmp_path / ("x" * 300): "File name too long",
    }.items():
        ended = invoke("check", "-f", path)
        assert (ended.code, ended.err) == (2, f"pointsman: {path} cannot be read: {reason}\n")
    without = tmp_path / "without"
    assert invoke("check", "-f", without).err == f"pointsman: {without}: no resources found\n"


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        (["--max-tokens=0"], 2, "--max-tokens"),
        ([f"--max-tokens={10**30}"], 2, "--max-tokens"),
        (["--max-tokens=few"], 2, "--max-tokens"),
        (["--output=yaml"], 2, "pointsman: --output yaml is not known: write text or json\n"),
        (["--labels=web"], 2, "pointsman: --labels: 'web' is no label: write key=value, several with commas\n"),
        (["--image=missing.png"], 2, "pointsman: missing.png cannot be read: No such file or directory\n"),
        (["--audio=missing.wav"], 2, "pointsman: missing.wav cannot be read: No such file or directory\n"),
        (["--metadata=topic"], 2, "pointsman: --metadata topic is no entry: write key=value\n"),
        ([f"--user={'u' * 600}"], 1, "INVALID_ARGUMENT: hints.user is longer than 512 characters\n"),
    ],
)
def test_an_option_that_makes_no_sense_gets_a_sentence(
    arguments: list[str], code: int, sentence: str, tmp_path: Path, invoke: Invoke
) -> None:
    ended = invoke("explain", "-f", lay(tmp_path / "all.yaml", provider(), policy()), "Hello", *arguments)
    assert ended.code == code
    # The command-line library draws boxes of its own around what it refuses itself.
    assert sentence in re.sub(r"\x1b\[[0-9;]*m", "", ended.err)
    assert ended.out == ""


def test_a_prompt_that_is_no_text_gets_a_sentence_from_wherever_it_comes(tmp_path: Path) -> None:
    file = lay(tmp_path / "all.yaml", provider(), policy())
    for locale in ("C.UTF-8", "en_US.UTF-8"):
        ended = command("explain", "-f", file, "-", stdin=b"caf\xe9", env={"LC_ALL": locale, "PYTHONUTF8": "0"})
        assert ended.code == 2
        assert ended.err.startswith("pointsman: ")
        assert ended.err.endswith("no UTF-8 text\n")
        assert ended.err.count("\n") == 1


def test_no_command_and_an_unknown_one_are_answered_with_help() -> None:
    assert "Usage: " in command().out
    unknown = command("serve")
    assert (unknown.code, "No such command 'serve'" in unknown.err) == (2, True)
