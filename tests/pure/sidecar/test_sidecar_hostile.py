"""Whatever a body holds, it is understood or refused in a sentence; there is no third."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pointsman_sidecar.contract.chat_form import ChatForm
from pointsman_sidecar.contract.embeddings_form import EmbeddingsForm
from pointsman_sidecar.contract.hints import HEADERS
from pointsman_sidecar.contract.requests import InvalidRequestError, check
from pointsman_sidecar.contract.responses_form import ResponsesForm
from pointsman_sidecar.routing.features import Features
from pointsman_sidecar.routing.policy import Feature
from support.completions import ask, tool
from support.policies import model

_LONGEST_SENTENCE = 6000
FORMS: list[Callable[..., Any]] = [ChatForm, ResponsesForm, EmbeddingsForm]
SMALL = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20) | st.just("x" * 2000)
VALUES = st.recursive(
    SMALL, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
)
CHAT_NAMES = {
    *("messages", "role", "content", "name", "refusal", "tool_calls", "text", "image_url", "input_audio", "data"),
    *("format", "detail", "file", "model", "stream", "stream_options", "include_usage", "max_tokens", "n"),
    *("max_completion_tokens", "tools", "functions", "response_format", "type", "json_schema", "logprobs", "user"),
}
RESPONSES_NAMES = {
    *("metadata", "store", "input", "instructions", "include", "reasoning", "effort", "tool_choice", "truncation"),
    *("arguments", "output", "call_id", "function", "parameters"),
}
# The names that a form looks at, so that what is random is random where it matters.
NAMES = st.sampled_from(sorted({*CHAT_NAMES, *RESPONSES_NAMES}))
SHAPED = st.recursive(
    SMALL
    | st.sampled_from(["user", "assistant", "message", "function_call", "auto", "function", "input_text", "mini"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=5),
    max_leaves=20,
)
MODEL = model("mini", features=frozenset(Feature))


def measured(form: Any) -> Features | InvalidRequestError:
    """What is known of it, or what is wrong with it."""
    try:
        return form.measure()  # type: ignore[no-any-return]
    except InvalidRequestError as error:
        return error


def understood(make: Callable[..., Any], raw: bytes, headers: dict[str, str]) -> None:
    """Read a body as the doors do, up to the call that it becomes."""
    form = make(raw, headers)
    features = measured(form)
    if isinstance(features, InvalidRequestError):
        assert features.violations
        assert len(str(features)) < _LONGEST_SENTENCE
        return
    sent = form.provider_request(features, model=MODEL, policy_cap=10, stream=getattr(form, "streams", False))
    assert json.loads(sent.body)["model"] == MODEL.provider_model


@given(make=st.sampled_from(FORMS), raw=st.binary(max_size=100))
def test_bytes_of_any_kind(make: Callable[..., Any], raw: bytes) -> None:
    understood(make, raw, {})


@given(make=st.sampled_from(FORMS), body=st.dictionaries(NAMES, SHAPED, max_size=6))
@example(make=ChatForm, body={"messages": [{"role": "user"}], "max_tokens": 2**64 - 1})
@example(make=EmbeddingsForm, body={"input": [1, "a", [2]]})
def test_members_of_any_shape(make: Callable[..., Any], body: dict[str, Any]) -> None:
    understood(make, json.dumps(body).encode(), {})


@given(make=st.sampled_from(FORMS), extra=st.dictionaries(NAMES, SHAPED, max_size=3), cut=st.integers(0, 40))
def test_a_good_body_with_something_else_in_it(make: Callable[..., Any], extra: dict[str, Any], cut: int) -> None:
    good = {"model": "auto", "messages": [{"role": "user", "content": "Hi"}], "input": "Hi"}
    raw = json.dumps(good | extra).encode()
    understood(make, raw[: len(raw) - cut], {})


@given(
    headers=st.dictionaries(
        st.sampled_from(HEADERS) | st.text(max_size=5).map("x-pointsman-{}".format),
        st.text(max_size=20) | VALUES.map(json.dumps) | st.just("x" * 2000),
    )
)
def test_headers_of_any_kind(headers: dict[str, str]) -> None:
    understood(ChatForm, b'{"messages": [{"role": "user", "content": "Hi"}]}', headers)


@pytest.mark.parametrize(
    ("make", "raw"),
    [
        (ResponsesForm, json.dumps({"input": "a", "include": [""] * 400_000})),
        (ResponsesForm, json.dumps({"input": "a", "x" * 10**6: 1})),
        (ResponsesForm, json.dumps({"input": "a", "truncation": "x" * 10**6})),
        (ResponsesForm, json.dumps({"input": [{"type": "x" * 10**6}]})),
        (ResponsesForm, json.dumps({"input": "a", "text": {" - at `$" * 10**5: 1}})),
        (ChatForm, json.dumps({"messages": [{"role": "user"}], "model": "x" * 10**6})),
        (EmbeddingsForm, json.dumps({"input": "a", "model": "x" * 10**6})),
    ],
)
def test_what_is_wrong_without_end_is_told_shortly(make: Callable[..., Any], raw: str) -> None:
    with pytest.raises(InvalidRequestError) as caught:
        make(raw.encode(), {}).measure()

    assert len(str(caught.value)) < _LONGEST_SENTENCE


def test_thousands_of_mistakes_in_a_message_are_told_as_some_and_more() -> None:
    request = ask(tools=[tool("same")] * 10_000)
    with pytest.raises(InvalidRequestError, match=r"; and more$") as caught:
        check(request)

    assert len(caught.value.violations) == 16
