"""Requests as apps send them: what is refused, in which words, and what the routing learns of the others."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pointsman_api.v1 import completions_pb2, types_pb2
from pointsman_sidecar.contract.requests import InvalidRequestError, check, features
from pointsman_sidecar.routing.policy import Feature, Modality, Severity
from support.completions import ask, said, text, tool

Request = completions_pb2.CompleteRequest
Message = completions_pb2.Message
Part = completions_pb2.ContentPart
Image = completions_pb2.ImagePart
Audio = completions_pb2.AudioPart
Sampling = completions_pb2.SamplingParameters
Hints = completions_pb2.RoutingHints
ToolChoice = completions_pb2.ToolChoice
Format = completions_pb2.ResponseFormat
JsonSchema = completions_pb2.JsonSchemaFormat

USER, ASSISTANT, TOOL = completions_pb2.ROLE_USER, completions_pb2.ROLE_ASSISTANT, completions_pb2.ROLE_TOOL


def violations(request: Request) -> list[tuple[str, str]]:
    """Each field that is refused, with the sentence on it."""
    try:
        check(request)
    except InvalidRequestError as error:
        return [(each.field, each.description) for each in error.violations]
    return []


def a_message(**fields: object) -> Request:
    """A request of one message."""
    return Request(messages=[Message(**fields)])  # type: ignore[arg-type]


def with_schema(name: str, schema: bytes) -> Request:
    """A request for an answer by a JSON schema."""
    return ask(response_format=Format(json_schema=JsonSchema(name=name, json_schema=schema)))


@pytest.mark.parametrize(
    ("request_", "field", "description"),
    [
        pytest.param(Request(), "messages", "is empty: give one message at least", id="no message"),
        pytest.param(
            a_message(content=[text("Hi")]),
            "messages[0].role",
            "is not set: say who speaks, such as ROLE_USER",
            id="no role",
        ),
        pytest.param(
            a_message(role=99, content=[text("Hi")]),
            "messages[0].role",
            "is 99, which is no role: say who speaks, such as ROLE_USER",
            id="a role that does not exist",
        ),
        pytest.param(
            a_message(role=USER), "messages[0].content", "is empty: give one part at least", id="nothing said"
        ),
        pytest.param(
            a_message(role=TOOL, content=[text("20 °C")]),
            "messages[0].tool_call_id",
            "is empty: a tool's message names the call that it answers",
            id="a tool's result for no call",
        ),
        pytest.param(
            a_message(role=USER, tool_calls=[completions_pb2.ToolCall(id="c", name="f")]),
            "messages[0].tool_calls",
            "stands in a message that is not the assistant's: only models call tools",
            id="a user who calls tools",
        ),
        pytest.param(
            a_message(role=ASSISTANT, tool_calls=[completions_pb2.ToolCall(id="c")]),
            "messages[0].tool_calls[0]",
            "needs an id and a name",
            id="a call without a name",
        ),
        pytest.param(
            a_message(role=ASSISTANT, tool_calls=[completions_pb2.ToolCall(name="f")]),
            "messages[0].tool_calls[0]",
            "needs an id and a name",
            id="a call without an id",
        ),
        pytest.param(
            a_message(role=USER, content=[text("Hi")], extra_json=b'{"content": "other"}'),
            "messages[0].extra_json",
            "names content: use content instead",
            id="a message's member around its field",
        ),
        pytest.param(
            Request(messages=[said("Hi"), said("See", Part())]),
            "messages[1].content[1]",
            "is empty: set text, image or audio",
            id="an empty part",
        ),
        pytest.param(
            ask(Part(image=Image())), "messages[0].content[0].image", "has neither url nor data", id="no picture"
        ),
        pytest.param(
            ask(Part(image=Image(url="file:///etc/passwd"))),
            "messages[0].content[0].image.url",
            "must begin with https://, http:// or data:",
            id="a picture from the file system",
        ),
        pytest.param(
            ask(Part(image=Image(data=b"png"))),
            "messages[0].content[0].image.media_type",
            "is '': say what data is, such as image/png",
            id="a picture of no type",
        ),
        pytest.param(
            ask(Part(image=Image(data=b"", media_type="image/png"))),
            "messages[0].content[0].image.data",
            "is empty",
            id="a picture of no bytes",
        ),
        pytest.param(
            ask(Part(image=Image(url="https://example.com/a.png", detail="medium"))),
            "messages[0].content[0].image.detail",
            "is 'medium': give low, high or auto, or leave it out",
            id="a detail that does not exist",
        ),
        pytest.param(
            ask(Part(audio=Audio(format="wav"))), "messages[0].content[0].audio.data", "is empty", id="no sound"
        ),
        pytest.param(
            ask(Part(audio=Audio(data=b"RIFF", format="ogg"))),
            "messages[0].content[0].audio.format",
            "is 'ogg': give wav or mp3",
            id="sound in another format",
        ),
        pytest.param(
            ask(tools=[tool("get weather")]),
            "tools[0].name",
            "must be 1 to 64 letters, digits, _ or -",
            id="a tool's name with a blank",
        ),
        pytest.param(
            ask(tools=[tool("f"), tool("f")]),
            "tools[1].name",
            "is 'f' again: each tool needs a name of its own",
            id="a tool twice",
        ),
        pytest.param(
            ask(tools=[tool(schema=b"[1]")]),
            "tools[0].parameters_json_schema",
            "is not a JSON object: Expected `object`, got `array`",
            id="parameters that are no object",
        ),
        pytest.param(
            ask(tools=[tool("f")], tool_choice=ToolChoice(function="g")),
            "tool_choice.function",
            "is 'g', which is none of tools",
            id="a choice that is no tool",
        ),
        pytest.param(
            ask(tool_choice=ToolChoice(mode=ToolChoice.MODE_REQUIRED)),
            "tool_choice.mode",
            "requires a tool call, but tools is empty",
            id="a required call without tools",
        ),
        pytest.param(
            ask(tools=[tool()], tool_choice=ToolChoice(mode=99)),  # type: ignore[arg-type]
            "tool_choice.mode",
            "is 99, which is no mode: give AUTO, NONE or REQUIRED",
            id="a mode that does not exist",
        ),
        pytest.param(
            with_schema("a b", b"{}"),
            "response_format.json_schema.name",
            "must be 1 to 64 letters, digits, _ or -",
            id="a schema's name with a blank",
        ),
        pytest.param(
            with_schema("s", b""),
            "response_format.json_schema.json_schema",
            "is not a JSON object: JSON is malformed: Expecting value (byte 0)",
            id="no schema",
        ),
        pytest.param(
            ask(sampling=Sampling(temperature=2.1)),
            "sampling.temperature",
            "is 2.1: give a number from 0 to 2",
            id="temperature",
        ),
        pytest.param(
            ask(sampling=Sampling(temperature=float("nan"))),
            "sampling.temperature",
            "is nan: give a number from 0 to 2",
            id="temperature that is no number",
        ),
        pytest.param(
            ask(sampling=Sampling(top_p=-0.1)), "sampling.top_p", "is -0.1: give a number from 0 to 1", id="top_p"
        ),
        pytest.param(
            ask(sampling=Sampling(frequency_penalty=3)),
            "sampling.frequency_penalty",
            "is 3: give a number from -2 to 2",
            id="frequency_penalty",
        ),
        pytest.param(
            ask(sampling=Sampling(presence_penalty=-3)),
            "sampling.presence_penalty",
            "is -3: give a number from -2 to 2",
            id="presence_penalty",
        ),
        pytest.param(ask(sampling=Sampling(n=0)), "sampling.n", "is 0: give a number from 1 to 128", id="n"),
        pytest.param(
            ask(sampling=Sampling(logprobs=True, top_logprobs=21)),
            "sampling.top_logprobs",
            "is 21: give a number from 0 to 20",
            id="top_logprobs",
        ),
        pytest.param(
            ask(sampling=Sampling(top_logprobs=3)),
            "sampling.top_logprobs",
            "is set without logprobs: set both",
            id="top_logprobs alone",
        ),
        pytest.param(
            ask(sampling=Sampling(stop=["a", "b", "c", "d", "e"])),
            "sampling.stop",
            "must be at most 4 texts, none of them empty",
            id="too many stops",
        ),
        pytest.param(
            ask(sampling=Sampling(stop=[""])),
            "sampling.stop",
            "must be at most 4 texts, none of them empty",
            id="an empty stop",
        ),
        pytest.param(ask(max_tokens=0), "max_tokens", "is 0: give 1 or more, or leave it out", id="no token"),
        pytest.param(
            ask(hints=Hints(severity=9)),  # type: ignore[arg-type]
            "hints.severity",
            "is 9, which is no severity: give LOW, MEDIUM, HIGH or CRITICAL",
            id="severity",
        ),
        pytest.param(ask(hints=Hints(user="u" * 513)), "hints.user", "is longer than 512 characters", id="user"),
        pytest.param(
            ask(hints=Hints(session="s" * 513)), "hints.session", "is longer than 512 characters", id="session"
        ),
        pytest.param(
            ask(hints=Hints(metadata={str(number): "" for number in range(65)})),
            "hints.metadata",
            "has 65 entries: give at most 64",
            id="metadata",
        ),
        pytest.param(
            ask(extra_json=b"now stream"),
            "extra_json",
            "is not a JSON object: JSON is malformed: invalid character (byte 4)",
            id="extra that is no JSON",
        ),
        pytest.param(
            ask(extra_json=b'{"stream": true}'),
            "extra_json",
            "names stream: use CompleteStream instead",
            id="extra that sets what a field sets",
        ),
        pytest.param(
            ask(extra_json=b'{"a": ' + b"[" * 20_000 + b"]" * 20_000 + b"}"),
            "extra_json",
            "is not a JSON object: it is nested too deeply",
            id="extra that is nested too deeply",
        ),
        pytest.param(
            ask(extra_json=b'{"a": "\xff"}'),
            "extra_json",
            "is not a JSON object: it is not UTF-8",
            id="extra that is no UTF-8",
        ),
    ],
)
def test_what_no_provider_could_serve_is_refused_by_field(request_: Request, field: str, description: str) -> None:
    assert violations(request_) == [(field, description)]


@pytest.mark.parametrize(
    "name",
    [
        *("messages", "model", "tools", "tool_choice", "parallel_tool_calls", "response_format", "temperature"),
        *("top_p", "frequency_penalty", "presence_penalty", "seed", "stop", "n", "logprobs", "top_logprobs"),
        *("max_tokens", "max_completion_tokens", "stream", "stream_options"),
    ],
)
def test_extra_json_cannot_get_around_a_field_of_the_contract(name: str) -> None:
    refused = violations(ask(extra_json=f'{{"{name}": null}}'.encode()))

    assert len(refused) == 1
    assert refused[0][1].startswith(f"names {name}: use ")


def test_all_that_is_wrong_is_said_at_once() -> None:
    request = Request(messages=[Message()], max_tokens=-1, extra_json=b"[]")

    with pytest.raises(InvalidRequestError) as caught:
        check(request)

    assert [each.field for each in caught.value.violations] == [
        "messages[0].role",
        "messages[0].content",
        "max_tokens",
        "extra_json",
    ]
    assert "max_tokens is -1: give 1 or more, or leave it out; extra_json is not" in str(caught.value)


@pytest.mark.parametrize(
    "request_",
    [
        pytest.param(ask("Hi"), id="the least"),
        pytest.param(
            ask(
                sampling=Sampling(
                    temperature=0, top_p=0, frequency_penalty=-2, presence_penalty=2, seed=-1, n=128, logprobs=False
                )
            ),
            id="sampling at its bounds",
        ),
        pytest.param(ask(sampling=Sampling(logprobs=True, top_logprobs=0, stop=["a", "b", "c", "d"])), id="logprobs"),
        pytest.param(a_message(role=ASSISTANT, refusal="No."), id="a refusal"),
        pytest.param(
            a_message(role=ASSISTANT, tool_calls=[completions_pb2.ToolCall(id="c", name="f", arguments="{")]),
            id="a call with broken arguments, as models write them",
        ),
        pytest.param(ask(tools=[tool("f" * 64)], tool_choice=ToolChoice(function="f" * 64)), id="a chosen tool"),
        pytest.param(ask(Part(image=Image(url="data:image/png;base64,AAAA", detail="low"))), id="a data URL"),
        pytest.param(ask(hints=Hints(severity=types_pb2.SEVERITY_CRITICAL, user="u" * 512)), id="hints"),
        pytest.param(ask(extra_json=b' {"service_tier": "flex", "x": [1, {"y": null}]} '), id="extra"),
    ],
)
def test_what_is_well_formed_passes(request_: Request) -> None:
    assert violations(request_) == []


@given(st.binary(max_size=300) | st.text(max_size=100).map(str.encode))
def test_bytes_of_any_kind_in_extra_json_are_accepted_or_refused(raw: bytes) -> None:
    request = ask(extra_json=raw)

    assert {field for field, _ in violations(request)} <= {"extra_json"}


@given(st.binary(max_size=300))
def test_a_request_of_any_bytes_is_accepted_or_refused(raw: bytes) -> None:
    request = ask()
    try:
        request.MergeFromString(raw)
    except Exception:  # noqa: BLE001 - protobuf's own refusal; what it accepts is the test
        return

    if not violations(request):
        assert features(request).request_bytes == request.ByteSize()


def test_a_plain_request_has_few_features() -> None:
    read = features(ask("What is 2 + 2?"))

    assert read.modalities == {Modality.TEXT}
    assert read.needs == frozenset()
    assert read.max_output_tokens is None
    assert (read.model, read.user, read.session, read.severity, read.metadata) == ("", "", "", None, {})
    assert 5 <= read.estimated_input_tokens <= 12


def test_features_tell_what_the_routing_needs_to_know() -> None:
    read = features(
        ask(
            "Look and listen",
            Part(image=Image(url="https://example.com/a.png")),
            Part(audio=Audio(data=bytes(32_000), format="wav")),
            model="flagship",
            tools=[tool()],
            response_format=Format(json_schema=JsonSchema(name="s", json_schema=b"{}")),
            sampling=Sampling(logprobs=True),
            max_tokens=77,
            hints=Hints(user="ada", session="s-1", severity=types_pb2.SEVERITY_HIGH, metadata={"task": "invoice"}),
        )
    )

    assert read.modalities == set(Modality)
    assert read.needs == set(Feature) - {Feature.EMBEDDINGS}
    assert read.max_output_tokens == 77
    assert (read.model, read.user, read.session, read.severity) == ("flagship", "ada", "s-1", Severity.HIGH)
    assert read.metadata == {"task": "invoice"}
    assert read.estimated_input_tokens > 765 + 10


@pytest.mark.parametrize("model", ["", "auto"])
def test_an_empty_model_and_auto_leave_the_choice_to_the_policy(model: str) -> None:
    assert features(ask(model=model)).model == ""


def test_logprobs_that_are_declined_need_no_feature() -> None:
    assert features(ask(sampling=Sampling(logprobs=False))).needs == frozenset()


@pytest.mark.parametrize(
    "larger",
    [
        pytest.param(ask("Hi", "x" * 4000), id="text"),
        pytest.param(Request(messages=[said("Hi"), said("x" * 4000)]), id="another message"),
        pytest.param(ask("Hi", tools=[tool(schema=b'{"description": "' + b"x" * 4000 + b'"}')]), id="a tool's schema"),
        pytest.param(ask("Hi", tools=[tool(description="x" * 4000)]), id="a tool's description"),
        pytest.param(
            ask(
                "Hi",
                response_format=Format(
                    json_schema=JsonSchema(name="s", json_schema=b'{"title": "' + b"x" * 4000 + b'"}')
                ),
            ),
            id="the answer's schema",
        ),
        pytest.param(
            Request(
                messages=[
                    said("Hi"),
                    Message(
                        role=ASSISTANT,
                        tool_calls=[completions_pb2.ToolCall(id="c", name="f", arguments="x" * 4000)],
                    ),
                ]
            ),
            id="a call's arguments",
        ),
    ],
)
def test_all_that_the_provider_counts_is_estimated(larger: Request) -> None:
    assert features(larger).estimated_input_tokens > features(ask("Hi")).estimated_input_tokens + 1000
