"""The request that a command's options stand for. What reads files is tried with the command itself."""

from typing import Any

import pytest

from pointsman.errors import UserError
from pointsman.requests import Options, build
from pointsman_api.v1 import completions_pb2, types_pb2


def sentence(options: Options) -> str:
    with pytest.raises(UserError) as caught:
        build(options)
    return str(caught.value)


def test_a_prompt_alone_is_one_message_of_the_user() -> None:
    assert build(Options(prompt="What is 2 + 2?")) == completions_pb2.CompleteRequest(
        messages=[
            completions_pb2.Message(
                role=completions_pb2.ROLE_USER, content=[completions_pb2.ContentPart(text="What is 2 + 2?")]
            )
        ],
        hints=completions_pb2.RoutingHints(),
    )


def test_the_system_message_comes_first() -> None:
    request = build(Options(prompt="Hello", system="Be brief"))
    assert [(message.role, message.content[0].text) for message in request.messages] == [
        (completions_pb2.ROLE_SYSTEM, "Be brief"),
        (completions_pb2.ROLE_USER, "Hello"),
    ]


def test_every_hint_arrives() -> None:
    request = build(
        Options(
            prompt="Hello",
            model="flagship",
            user="u",
            session="s",
            severity="High",
            metadata=["topic=legal", "equation=a=b", "empty="],
            max_tokens=7,
        )
    )
    assert (request.model, request.max_tokens) == ("flagship", 7)
    assert request.hints == completions_pb2.RoutingHints(
        user="u",
        session="s",
        severity=types_pb2.SEVERITY_HIGH,
        metadata={"topic": "legal", "equation": "a=b", "empty": ""},
    )


def test_the_tokens_of_the_answer_are_left_open_where_nothing_is_said() -> None:
    assert not build(Options(prompt="Hello")).HasField("max_tokens")


@pytest.mark.parametrize(
    ("word", "severity"),
    [
        ("low", types_pb2.SEVERITY_LOW),
        ("Medium", types_pb2.SEVERITY_MEDIUM),
        ("HIGH", types_pb2.SEVERITY_HIGH),
        ("critical", types_pb2.SEVERITY_CRITICAL),
        ("", types_pb2.SEVERITY_UNSPECIFIED),
    ],
)
def test_severities_are_words(word: str, severity: types_pb2.Severity.ValueType) -> None:
    assert build(Options(prompt="Hello", severity=word)).hints.severity == severity


@pytest.mark.parametrize("url", ["https://example.org/a.png", "http://127.0.0.1/a", "data:image/png;base64,AAAA"])
def test_a_picture_by_its_url_is_passed_on_as_it_is(url: str) -> None:
    [text, image] = build(Options(prompt="What is it?", images=[url])).messages[0].content
    assert (text.text, image.image.url) == ("What is it?", url)


def test_a_picture_needs_no_prompt_beside_it() -> None:
    [image] = build(Options(prompt="", images=["https://example.org/a.png"])).messages[0].content
    assert image.WhichOneof("part") == "image"


def test_an_unknown_severity_is_refused_with_those_there_are() -> None:
    assert (
        sentence(Options(prompt="Hello", severity="urgent"))
        == "--severity urgent is not known: write low, medium, high, critical"
    )


@pytest.mark.parametrize("entry", ["topic", "=legal", ""])
def test_metadata_without_a_key_or_a_value_is_refused(entry: str) -> None:
    assert sentence(Options(prompt="Hello", metadata=[entry])) == f"--metadata {entry} is no entry: write key=value"


@pytest.mark.parametrize("name", ["notes.txt", "picture", "ftp://example.org/a"])
def test_what_is_no_picture_by_its_name_is_refused_unread(name: str) -> None:
    assert (
        sentence(Options(prompt="Hello", images=[name]))
        == f"--image {name} is no picture by its name: give a .png, .jpg, .gif or .webp, or a URL"
    )


@pytest.mark.parametrize("field", ["prompt", "system", "model", "user", "session"])
def test_bytes_that_are_no_text_are_refused(field: str) -> None:
    given: dict[str, Any] = {"prompt": "Hello", field: b"\xff".decode(errors="surrogateescape")}
    assert sentence(Options(**given)) == "an option holds bytes that are no UTF-8 text"
