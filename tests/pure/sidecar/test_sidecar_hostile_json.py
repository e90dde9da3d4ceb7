"""Whatever comes over HTTP, from an app or from a provider, ends in an answer or in an error that says so."""

import json
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pointsman_sidecar.contract.chat_form import ChatForm
from pointsman_sidecar.contract.embeddings_form import EmbeddingsForm
from pointsman_sidecar.contract.provider_answers import UnreadableAnswerError
from pointsman_sidecar.contract.requests import InvalidRequestError
from pointsman_sidecar.contract.responses_events import ResponseEvents
from pointsman_sidecar.contract.responses_form import ResponsesForm
from support.policies import model

MINI = model("mini", provider_model="gpt-4o-mini")
FORMS: list[Callable[[bytes, dict[str, str]], Any]] = [ChatForm, EmbeddingsForm, ResponsesForm]
# Words that mean something somewhere, so that what is drawn is nearly right.
WORDS = st.sampled_from(
    [
        *("messages", "role", "content", "type", "text", "input", "tools", "function", "name", "model", "stream"),
        *("arguments", "tool_calls", "tool_choice", "response_format", "json_schema", "max_tokens", "metadata"),
        *("image_url", "input_audio", "data", "call_id", "output", "include", "reasoning", "format", "schema"),
        *("choices", "delta", "index", "finish_reason", "usage", "prompt_tokens", "logprobs", "refusal", "message"),
    ]
)
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from(["user", "function", "message", "input_text", "function_call", "json_schema", "stop", "auto"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=5),
    max_leaves=20,
)
BODIES = st.dictionaries(WORDS, VALUES, max_size=8).map(lambda body: json.dumps(body).encode())


@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.__name__)
@given(raw=st.binary(max_size=60) | BODIES, stream=st.booleans())
def test_a_request_is_measured_or_refused(
    form: Callable[[bytes, dict[str, str]], Any],
    raw: bytes,
    stream: bool,  # noqa: FBT001 - drawn
) -> None:
    made = form(raw, {})
    try:
        features = made.measure()
    except InvalidRequestError as error:
        refused = error
    else:
        refused = None

    if refused is not None:
        assert all(each.field and each.description for each in refused.violations)
        return
    assert json.loads(made.provider_request(features, model=MINI, policy_cap=7, stream=stream).body)


ASKED = {
    ChatForm: b'{"messages": [{"role": "user", "content": "Hi"}]}',
    EmbeddingsForm: b'{"input": "Hi"}',
    ResponsesForm: b'{"input": "Hi"}',
}


@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.__name__)
@given(raw=st.binary(max_size=60) | BODIES)
def test_an_answer_is_read_or_unreadable(form: Callable[[bytes, dict[str, str]], Any], raw: bytes) -> None:
    made = form(ASKED[form], {})  # type: ignore[index] # each of them is there

    with suppress(UnreadableAnswerError):
        json.loads(made.read_answer(raw).content)
    with suppress(UnreadableAnswerError):
        made.read_chunk(raw)


_delta = st.fixed_dictionaries(
    {},
    optional={
        "content": st.none() | st.text(max_size=5),
        "refusal": st.none() | st.text(max_size=5),
        "tool_calls": st.none()
        | st.lists(
            st.fixed_dictionaries(
                {"index": st.integers(min_value=0, max_value=2)},
                optional={
                    "id": st.text(max_size=3),
                    "function": st.fixed_dictionaries(
                        {}, optional={"name": st.text(max_size=3), "arguments": st.text(max_size=3)}
                    ),
                },
            ),
            max_size=2,
        ),
    },
)


@given(deltas=st.lists(_delta, max_size=8))
def test_a_responses_events_come_in_order_and_add_up_whatever_a_model_streams(deltas: list[dict[str, Any]]) -> None:
    stream = ResponseEvents({})
    events = [
        event
        for delta in [{}, *deltas]
        for event in stream.feed({"id": "chatcmpl-1", "choices": [{"index": 0, "delta": delta}]})
    ]
    events += stream.finish({})

    assert [event["sequence_number"] for event in events] == list(range(len(events)))
    assert (events[0]["type"], events[-1]["type"]) == ("response.created", "response.completed")
    added = [event["output_index"] for event in events if event["type"] == "response.output_item.added"]
    done = [event for event in events if event["type"] == "response.output_item.done"]
    assert added == [event["output_index"] for event in done] == list(range(len(added)))
    assert events[-1]["response"]["output"] == [event["item"] for event in done]
    for kind, field in (("output_text", "content"), ("refusal", "refusal")):
        said = "".join(event["delta"] for event in events if event["type"] == f"response.{kind}.delta")
        assert said == "".join(delta.get(field) or "" for delta in deltas)
