"""What a provider answers, read into the contract's messages; whatever it answers."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pointsman_api.v1 import completions_pb2
from pointsman_sidecar.contract.decisions import Progress, decision
from pointsman_sidecar.contract.provider_answers import (
    UnreadableAnswerError,
    begins,
    read_answer,
    read_chunk,
    read_usage,
)
from pointsman_sidecar.routing.costs import Usage
from pointsman_sidecar.routing.plan import plan
from pointsman_stub.completions import complete
from pointsman_stub.models import catalogue
from pointsman_stub.replies import reply
from pointsman_stub.requests import parse_request
from support.policies import features, model, policy


def stub_documents(**request: Any) -> list[dict[str, Any]]:
    """What the stub provider would answer: one document, or the chunks of a stream."""
    body = {"model": "gpt-4o", "messages": [{"role": "user", "content": "What is the weather?"}]} | request
    parts = reply(complete(parse_request(body), catalogue()["gpt-4o"]), completion_id="c-1", created=1).parts
    if not request.get("stream"):
        return [json.loads(b"".join(parts))]
    return [json.loads(part.removeprefix(b"data: ")) for part in parts[:-1]]


TOOLS = [{"type": "function", "function": {"name": "get_weather", "parameters": {"required": ["city"]}}}]


def test_a_whole_answer_is_read() -> None:
    (answer,) = stub_documents(n=2, logprobs=True, top_logprobs=2)

    read = read_answer(answer)

    assert read.id == "c-1"
    assert [choice.index for choice in read.choices] == [0, 1]
    for choice, raw in zip(read.choices, answer["choices"], strict=True):
        assert choice.message.role == completions_pb2.ROLE_ASSISTANT
        assert [part.text for part in choice.message.content] == [raw["message"]["content"]]
        assert choice.finish_reason == completions_pb2.FINISH_REASON_STOP
        assert [
            (token.token, token.logprob, list(token.bytes), [(top.token, top.logprob) for top in token.top])
            for token in choice.logprobs
        ] == [
            (
                token["token"],
                token["logprob"],
                token["bytes"],
                [(top["token"], top["logprob"]) for top in token["top_logprobs"]],
            )
            for token in raw["logprobs"]["content"]
        ]
    assert json.loads(read.extra_json) == {
        "created": 1,
        "service_tier": "default",
        "system_fingerprint": answer["system_fingerprint"],
    }


def test_tool_calls_are_read_with_their_arguments_as_the_model_wrote_them() -> None:
    (answer,) = stub_documents(tools=TOOLS)
    answer["choices"][0]["message"]["tool_calls"][0]["function"]["arguments"] = '{"city": '

    (choice,) = read_answer(answer).choices

    assert not choice.message.content
    assert [(call.name, call.arguments) for call in choice.message.tool_calls] == [("get_weather", '{"city": ')]
    assert choice.message.tool_calls[0].id.startswith("call_")
    assert choice.finish_reason == completions_pb2.FINISH_REASON_TOOL_CALLS


def test_a_stream_read_chunk_by_chunk_says_what_the_whole_answer_says() -> None:
    (whole,) = stub_documents(n=2, logprobs=True)
    chunks = [read_chunk(chunk) for chunk in stub_documents(n=2, logprobs=True, stream=True)]

    for choice in read_answer(whole).choices:
        deltas = [delta for chunk in chunks for delta in chunk.choices if delta.index == choice.index]
        assert "".join(delta.content for delta in deltas) == choice.message.content[0].text
        assert [token for delta in deltas for token in delta.logprobs] == list(choice.logprobs)
        assert [delta.finish_reason for delta in deltas if delta.finish_reason] == [choice.finish_reason]


def test_tool_calls_come_in_pieces() -> None:
    (whole,) = stub_documents(tools=TOOLS)
    deltas = [
        call
        for chunk in stub_documents(tools=TOOLS, stream=True)
        for delta in read_chunk(chunk).choices
        for call in delta.tool_calls
    ]

    (called,) = read_answer(whole).choices[0].message.tool_calls
    assert (deltas[0].index, deltas[0].name) == (0, "get_weather")
    assert deltas[0].id.startswith("call_")
    assert "".join(delta.arguments for delta in deltas) == called.arguments
    assert len(deltas) > 2


def test_usage_is_read_with_its_parts() -> None:
    answer = {
        "usage": {
            "prompt_tokens": 2000,
            "completion_tokens": 300,
            "prompt_tokens_details": {"cached_tokens": 1024},
            "completion_tokens_details": {"reasoning_tokens": 64},
        }
    }

    assert read_usage(answer) == Usage(
        input_tokens=2000, cached_input_tokens=1024, output_tokens=300, reasoning_tokens=64
    )


@pytest.mark.parametrize("answer", [{}, {"usage": None}], ids=["absent", "null"])
def test_no_usage_is_none(answer: dict[str, Any]) -> None:
    assert read_usage(answer) is None


def test_usage_without_details_counts_no_parts() -> None:
    usage = {"prompt_tokens": 3, "completion_tokens": 2, "prompt_tokens_details": None}

    assert read_usage({"usage": usage}) == Usage(input_tokens=3, output_tokens=2)


@pytest.mark.parametrize(
    "usage",
    [
        pytest.param(12, id="a number"),
        pytest.param({"prompt_tokens": "3"}, id="a text"),
        pytest.param({"prompt_tokens": -1}, id="negative"),
        pytest.param({"prompt_tokens": True}, id="a boolean"),
        pytest.param({"prompt_tokens": 2**63}, id="beyond any count"),
        pytest.param({"prompt_tokens": 1, "prompt_tokens_details": {"cached_tokens": 2}}, id="more cached than input"),
        pytest.param(
            {"completion_tokens": 1, "completion_tokens_details": {"reasoning_tokens": 2}},
            id="more reasoning than output",
        ),
    ],
)
def test_usage_that_is_no_count_is_none(usage: object) -> None:
    assert read_usage({"usage": usage}) is None


def test_members_that_the_contract_does_not_have_are_kept() -> None:
    answer = {
        "id": "c",
        "citations": ["https://example.com"],
        "system_fingerprint": None,
        "choices": [{"message": {"content": "4", "reasoning_content": "2 and 2", "annotations": []}}],
    }
    chunk = {"choices": [{"delta": {"reasoning_content": "2 and"}}]}

    read = read_answer(answer)

    assert json.loads(read.extra_json) == {"citations": ["https://example.com"]}
    assert json.loads(read.choices[0].message.extra_json) == {"reasoning_content": "2 and 2", "annotations": []}
    assert json.loads(read_chunk(chunk).choices[0].extra_json) == {"reasoning_content": "2 and"}


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("stop", completions_pb2.FINISH_REASON_STOP),
        ("length", completions_pb2.FINISH_REASON_LENGTH),
        ("tool_calls", completions_pb2.FINISH_REASON_TOOL_CALLS),
        ("function_call", completions_pb2.FINISH_REASON_TOOL_CALLS),
        ("content_filter", completions_pb2.FINISH_REASON_CONTENT_FILTER),
        ("eos_token", completions_pb2.FINISH_REASON_STOP),
        (None, completions_pb2.FINISH_REASON_UNSPECIFIED),
    ],
)
def test_finish_reasons(said: str | None, expected: completions_pb2.FinishReason.ValueType) -> None:
    choice = {"message": {"content": "4"}, "finish_reason": said}

    assert read_answer({"choices": [choice]}).choices[0].finish_reason == expected


@pytest.mark.parametrize(
    ("delta", "expected"),
    [
        pytest.param({"role": "assistant", "content": ""}, False, id="a role alone"),
        pytest.param({}, False, id="nothing"),
        pytest.param({"content": "4"}, True, id="text"),
        pytest.param({"refusal": "No"}, True, id="a refusal"),
        pytest.param({"tool_calls": [{"index": 0, "id": "c"}]}, True, id="a tool call"),
        pytest.param({"reasoning_content": "2"}, True, id="a member of the provider's own"),
    ],
)
def test_an_answer_begins_with_its_first_token(delta: dict[str, Any], expected: bool) -> None:  # noqa: FBT001 - a case
    assert begins(read_chunk({"choices": [{"delta": delta}]})) is expected


def test_an_empty_answer_begins_with_its_end() -> None:
    assert begins(read_chunk({"choices": [{"delta": {}, "finish_reason": "stop"}]}))
    assert not begins(read_chunk({"choices": []}))


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(None, id="null"),
        pytest.param([], id="an array"),
        pytest.param({}, id="no choices"),
        pytest.param({"choices": []}, id="empty choices"),
        pytest.param({"choices": [1]}, id="a choice that is a number"),
        pytest.param({"choices": [{}]}, id="no message"),
        pytest.param({"choices": [{"message": {"content": ["parts"]}}]}, id="content that is no text"),
        pytest.param({"choices": [{"message": {"tool_calls": [{"id": "c"}]}}]}, id="a call without a function"),
        pytest.param({"choices": [{"message": {}, "finish_reason": ["stop"]}]}, id="a finish reason that is no text"),
        pytest.param({"choices": [{"message": {}, "index": 2**40}]}, id="an index beyond all bounds"),
        pytest.param(
            {"choices": [{"message": {}, "logprobs": {"content": [{"token": "a", "logprob": 1, "bytes": 10**11}]}}]},
            id="bytes that are a number",
        ),
        pytest.param(
            {"choices": [{"message": {}, "logprobs": {"content": [{"token": "a", "logprob": 10**400}]}}]},
            id="a number that does not fit a double",
        ),
        pytest.param({"choices": [{"message": {"content": "\ud800"}}]}, id="half a character"),
    ],
)
def test_what_is_no_answer_cannot_be_read(answer: object) -> None:
    with pytest.raises(UnreadableAnswerError) as caught:
        read_answer(answer)

    assert "\ud800" not in str(caught.value)


def test_an_answer_that_is_nested_too_deeply_cannot_be_read() -> None:
    deep: list[Any] = []
    for _ in range(2000):
        deep = [deep]

    with pytest.raises(UnreadableAnswerError):
        read_answer({"choices": [{"message": {}}], "deep": deep})


scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(-(2**70), 2**70)
    | st.floats()
    | st.text(st.characters(), max_size=5)
)
any_json = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3)
)


def shaped(part: str) -> st.SearchStrategy[Any]:
    """Answers nearly as the API has them, in which anything may be anything."""
    call = st.fixed_dictionaries(
        {},
        optional={
            "index": any_json,
            "id": any_json,
            "function": any_json | st.fixed_dictionaries({}, optional={"name": any_json, "arguments": any_json}),
        },
    )
    token = st.fixed_dictionaries(
        {"token": st.text(max_size=2) | any_json, "logprob": st.floats() | any_json},
        optional={"bytes": any_json | st.lists(st.integers(0, 300)), "top_logprobs": any_json},
    )
    said = st.fixed_dictionaries(
        {},
        optional={
            "content": st.text() | any_json,
            "refusal": any_json,
            "tool_calls": any_json | st.lists(call, max_size=2),
            "other": any_json,
        },
    )
    choice = st.fixed_dictionaries(
        {part: said | any_json},
        optional={
            "index": any_json,
            "finish_reason": any_json,
            "logprobs": any_json | st.fixed_dictionaries({"content": any_json | st.lists(token, max_size=2)}),
        },
    )
    usage = st.fixed_dictionaries(
        {},
        optional={
            "prompt_tokens": st.integers() | any_json,
            "completion_tokens": st.integers() | any_json,
            "prompt_tokens_details": any_json,
            "completion_tokens_details": any_json,
        },
    )
    return st.fixed_dictionaries(
        {"choices": st.lists(choice, max_size=2) | any_json},
        optional={"id": any_json, "usage": usage | any_json, "other": any_json},
    )


@given(shaped("message") | any_json)
def test_any_json_is_an_answer_or_cannot_be_read(answer: object) -> None:
    try:
        read = read_answer(answer)
        usage = read_usage(answer)
    except UnreadableAnswerError:
        return
    made_of = policy(model("mini"))
    planned = plan(made_of, features(), request_id="r")
    progress = Progress(id="d", policy=made_of, plan=planned, answering=planned.steps[0], usage=usage)
    read.decision.CopyFrom(decision(progress))

    assert read.choices
    assert read.SerializeToString()


@given(shaped("delta") | any_json)
def test_any_json_is_a_chunk_or_cannot_be_read(chunk: object) -> None:
    try:
        read = read_chunk(chunk)
        read_usage(chunk)
    except UnreadableAnswerError:
        return

    assert begins(read) in {True, False}
