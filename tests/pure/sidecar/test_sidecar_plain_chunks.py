"""The short way to read a chunk says what the long way says, wherever it says anything."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pointsman_api.v1 import completions_pb2
from pointsman_sidecar.contract import provider_answers
from pointsman_sidecar.contract.protobuf_form import ProtobufForm
from pointsman_sidecar.contract.provider_answers import UnreadableAnswerError, begins, read_plain_chunk

TEXTS = st.none() | st.text(max_size=8) | st.integers() | st.lists(st.integers(), max_size=1)
DELTAS = st.dictionaries(
    st.sampled_from(["role", "content", "refusal", "tool_calls", "reasoning", "function_call"]), TEXTS, max_size=4
)
CHOICES = st.fixed_dictionaries(
    {},
    optional={
        "index": st.none() | st.integers(-1, 2**33),
        "delta": st.none() | DELTAS,
        "finish_reason": TEXTS | st.sampled_from(["stop", "length", ""]),
        "logprobs": st.none() | st.just({}) | st.just({"content": []}),
        "content_filter_results": st.just({}),
    },
)
CHUNKS = st.fixed_dictionaries(
    {"choices": st.lists(CHOICES, min_size=1, max_size=2)},
    optional={"id": TEXTS, "usage": st.none() | st.just({"prompt_tokens": 1}), "model": TEXTS},
)


@given(CHUNKS)
def test_both_ways_agree(chunk: object) -> None:
    raw = json.dumps(chunk).encode()

    short = read_plain_chunk(raw)

    if short is not None:
        long = provider_answers.read_chunk(provider_answers.decoded(raw))
        assert short == long
        read = ProtobufForm(completions_pb2.CompleteRequest()).read_chunk(raw)
        assert read.begins == begins(long)
        assert read.content == (long if read.begins else None)
        assert read.seen == {delta.index for delta in long.choices}
        assert read.ended == {delta.index for delta in long.choices if delta.finish_reason}
        assert read.usage is provider_answers.read_usage(json.loads(raw))


@pytest.mark.parametrize(
    "choice",
    [
        {"index": 0, "delta": {"role": "assistant", "content": ""}, "finish_reason": None},
        {"index": 0, "delta": {"content": "4"}, "logprobs": None, "finish_reason": None},
        {"index": 0, "delta": {}, "finish_reason": "stop"},
        {"index": 3, "delta": {"content": "4", "refusal": None}},
    ],
)
def test_what_nearly_every_chunk_looks_like_goes_the_short_way(choice: object) -> None:
    assert read_plain_chunk(json.dumps({"id": "c", "object": "chunk", "choices": [choice]}).encode()) is not None


@pytest.mark.parametrize("raw", [b"", b"{", b'{"choices": [{"delta": {"content": "\xff"}}]}', b"[" * 100_000])
def test_what_cannot_be_read_is_left_to_the_long_way(raw: bytes) -> None:
    assert read_plain_chunk(raw) is None
    with pytest.raises(UnreadableAnswerError):
        ProtobufForm(completions_pb2.CompleteRequest()).read_chunk(raw)
