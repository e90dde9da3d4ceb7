"""What OpenAI's clients send: what the routing learns of it, and the call that it becomes."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pointsman_sidecar.contract.chat_form import ChatForm
from pointsman_sidecar.contract.forms import ProviderRequest
from pointsman_sidecar.contract.json_form import Unread
from pointsman_sidecar.contract.requests import InvalidRequestError
from pointsman_sidecar.routing.features import Features
from pointsman_sidecar.routing.policy import Feature, Modality, Severity
from support.policies import model

MINI = model("mini", provider_model="gpt-4o-mini", max_output_tokens=1000)
SAID = [{"role": "user", "content": "Hi"}]


def body(**members: Any) -> bytes:
    """A request of one message, unless told otherwise."""
    return json.dumps({"messages": SAID, **members}).encode()


def measured(raw: bytes, **headers: str) -> Features:
    """What the routing learns."""
    return ChatForm(raw, {f"x-pointsman-{name}": value for name, value in headers.items()}).measure()


def call(raw: bytes, *, cap: int | None = None, stream: bool = False) -> ProviderRequest:
    """The call that a request becomes."""
    form = ChatForm(raw, {})
    return form.provider_request(form.measure(), model=MINI, policy_cap=cap, stream=stream)


def refused(raw: bytes, **headers: str) -> tuple[str, str]:
    """The first field that is wrong, and why."""
    with pytest.raises(InvalidRequestError) as caught:
        measured(raw, **headers)
    first = caught.value.violations[0]
    return first.field, first.description


def test_a_request_reaches_the_provider_byte_for_byte_but_for_the_model() -> None:
    raw = b'{"model":"auto", "messages": [ {"role":"user","content":"\\u00e9"} ],"x":{"b":1.0,"a":[40, 1e2]},"p":1.00}'

    sent = call(raw)

    assert sent.body == (
        b'{"model":"gpt-4o-mini","messages":[ {"role":"user","content":"\\u00e9"} ],'
        b'"x":{"b":1.0,"a":[40, 1e2]},"p":1.00}'
    )
    assert sent.changes == ()


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@given(extra=st.dictionaries(st.sampled_from(["seed", "stop", "n", "logit_bias", "future", "é"]), _json))
def test_what_is_not_looked_at_arrives_as_it_was_sent(extra: dict[str, Any]) -> None:
    raw = json.dumps({"messages": SAID, **extra}).encode()

    sent = json.loads(call(raw).body)

    assert sent == {"messages": SAID, **extra, "model": "gpt-4o-mini"}


def test_features_tell_what_the_routing_needs_to_know() -> None:
    read = measured(
        body(
            messages=[
                {
                    "role": "user",
                    "content": [
                        {"type": "text", "text": "Look and listen"},
                        {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}},
                        {"type": "input_audio", "input_audio": {"data": "A" * 42_668, "format": "wav"}},
                    ],
                }
            ],
            model="flagship",
            tools=[{"type": "function", "function": {"name": "f"}}],
            response_format={"type": "json_schema", "json_schema": {"name": "s", "schema": {}}},
            logprobs=True,
            max_tokens=77,
            user="ada",
            metadata={"task": "invoice", "topic": "tax"},
        ),
        severity="High",
        session="s-1",
        metadata='{"topic": "legal"}',
    )

    assert read.modalities == set(Modality)
    assert read.needs == set(Feature) - {Feature.EMBEDDINGS}
    assert (read.model, read.is_wish, read.max_output_tokens) == ("flagship", True, 77)
    assert (read.user, read.session, read.severity) == ("ada", "s-1", Severity.HIGH)
    assert read.metadata == {"task": "invoice", "topic": "legal"}
    assert read.estimated_input_tokens > 765 + 10


def test_a_header_names_the_user_where_the_provider_is_to_know_another_or_none() -> None:
    assert measured(body(user="hash"), user="ada").user == "ada"
    assert measured(body(safety_identifier="hash")).user == "hash"


@pytest.mark.parametrize("name", [None, "", "auto"])
def test_no_name_and_auto_leave_the_choice_to_the_policy(name: str | None) -> None:
    assert measured(body(model=name)).model == ""


@pytest.mark.parametrize(
    ("given", "cap", "expected"),
    [
        pytest.param({"max_tokens": 50}, None, {"max_tokens": 50}, id="as asked"),
        pytest.param({"max_tokens": 50}, 20, {"max_tokens": 20}, id="the policy's, by the app's name for it"),
        pytest.param({"max_completion_tokens": 50}, 20, {"max_completion_tokens": 20}, id="by the newer name"),
        pytest.param({}, 20, {"max_completion_tokens": 20}, id="where nothing was asked"),
        pytest.param({"max_tokens": 5000}, None, {"max_tokens": 1000}, id="the model's"),
        pytest.param({"max_tokens": None}, None, {"max_tokens": None}, id="null"),
    ],
)
def test_an_answer_is_capped(given: dict[str, Any], cap: int | None, expected: dict[str, Any]) -> None:
    sent = call(body(**given), cap=cap)

    caps = {name: value for name, value in json.loads(sent.body).items() if name.startswith("max_")}
    assert caps == expected
    assert bool(sent.changes) == (caps != given)


def test_a_streams_usage_is_asked_for_and_the_options_beside_it_kept() -> None:
    sent = call(body(stream=True, stream_options={"include_obfuscation": False}), stream=True)

    assert json.loads(sent.body)["stream_options"] == {"include_obfuscation": False, "include_usage": True}
    assert [change.field for change in sent.changes] == ["stream_options.include_usage"]
    assert not call(body(stream=True, stream_options={"include_usage": True}), stream=True).changes


def test_metadata_goes_further_only_where_the_provider_stores_it() -> None:
    told = call(body(metadata={"topic": "tax"}))

    assert "metadata" not in json.loads(told.body)
    assert [change.field for change in told.changes] == ["metadata"]
    assert json.loads(call(body(metadata={"topic": "tax"}, store=True)).body)["metadata"] == {"topic": "tax"}


def test_a_name_that_is_not_obeyed_is_told() -> None:
    (change,) = call(body(model="gpt-4o")).changes

    assert (change.field, change.requested, change.sent) == ("model", "gpt-4o", "gpt-4o-mini")
    for name in ("mini", "gpt-4o-mini", "auto"):
        assert call(body(model=name)).changes == ()


@pytest.mark.parametrize(
    ("raw", "field", "why"),
    [
        (b"", "body", "is not a JSON object: JSON is malformed: Expecting value (byte 0)"),
        (b"{", "body", "Expecting property name enclosed in double quotes (byte 1)"),
        (b'{"messages": [}', "body", "invalid character (byte 14)"),
        ('{"é": [}'.encode(), "body", "invalid character (byte 8)"),
        (b'{"messages": "\xff"}', "body", "it is not UTF-8"),
        (b'{"messages": ["\\ud83d"]}', "body", "half of a surrogate pair"),
        (b"[]", "body", "Expected `object`, got `array`"),
        (b'{"messages": [' + b"[" * 5000 + b"]" * 5000 + b"]}", "body", "nested too deeply"),
        (b"{}", "body", "does not fit: object missing required field `messages`"),
        (body(messages=[]), "messages", "is empty: give one message at least"),
        (body(messages=[{"role": 1}]), "messages[0].role", "does not fit: expected `string`, got `integer`"),
        (body(messages=[*SAID, {"content": "x"}]), "messages[1]", "missing required field `role`"),
        (body(messages=[{"role": "user", "content": 7}]), "messages[0].content", "got `integer`"),
        (body(max_tokens=0), "max_tokens", "is 0: give 1 or more, or leave it out"),
        (body(stream="yes"), "stream", "does not fit: expected `boolean | null`, got `string`"),
        (body(metadata={"a": 1}), "metadata[...]", "does not fit"),
        (body(user="u" * 513), "user", "is longer than 512 characters"),
        (body(metadata={f"k{n}": "v" for n in range(65)}), "metadata", "has 65 entries: give at most 64"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(raw: bytes, field: str, why: str) -> None:
    where, said = refused(raw)

    assert where == field
    assert why in said


@pytest.mark.parametrize(
    ("name", "value", "why"),
    [
        ("severity", "huge", "is 'huge': write low, medium, high or critical"),
        ("metadata", "topic=legal", 'must be a JSON object of texts, such as {"topic": "legal"}'),
        ("metadata", '{"topic": 1}', "must be a JSON object of texts"),
        ("decision", "trailer", "is 'trailer': write headers or body"),
        ("sevrity", "high", "is no header of this door's: it reads x-pointsman-user, x-pointsman-session"),
    ],
)
def test_a_header_of_ours_that_cannot_be_obeyed_is_refused(name: str, value: str, why: str) -> None:
    field, said = refused(body(), **{name: value})

    assert field == f"x-pointsman-{name}"
    assert why in said


def test_a_body_that_is_too_large_is_not_read() -> None:
    read = ChatForm(Unread(size=101), {}).measure()

    assert read.request_bytes == 101
    assert not read.is_cut
