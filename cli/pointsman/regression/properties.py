"""Whether an answer has what is expected of it. Pure. What is said of it holds nothing of the answer's text."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pointsman.regression.patterns import PatternError, found
from pointsman.regression.suites import Case
from pointsman_sidecar.confidence import Judged, judge
from pointsman_sidecar.confidence.wording import refuses
from pointsman_sidecar.contract.json import NotJsonError, decode
from pointsman_sidecar.contract.json_schemas import mismatch

ANSWERED = "answered"
"""What is expected of every answer: that there is one."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Answer:
    """An answer, and what its decision says of it. `confidence` is None where nothing was judged on the way."""

    text: str = field(repr=False)
    refused: bool = False
    finish_reason: str = ""
    output_tokens: int | None = None
    model: str = ""
    confidence: float | None = None
    logprobs: Sequence[float] | None = field(default=None, repr=False)


@dataclass(frozen=True, kw_only=True, slots=True)
class Failed:
    """A property that an answer does not have: where it stands in the suite, and a sentence."""

    property: str
    message: str


def failures(case: Case, answer: Answer, *, with_model: bool) -> tuple[Failed, ...]:
    """What the answer lacks. `with_model` where the policy chose the model, so that its choice can be looked at."""
    return tuple(Failed(property=name, message=message) for name, message in _failures(case, answer, with_model))


def _failures(case: Case, answer: Answer, with_model: bool) -> Iterator[tuple[str, str]]:  # noqa: FBT001 - within here
    expected, text = case.expected, answer.text
    yield from _wordings(case, text)
    if expected.valid_json and (wrong := _wrong_json(case.request, text)):
        yield "validJSON", wrong
    if expected.finish_reason and answer.finish_reason != expected.finish_reason:
        yield "finishReason", f"{answer.finish_reason or 'not said'}, not {expected.finish_reason}"
    if (most := expected.max_output_tokens) is not None:
        if answer.output_tokens is None:
            yield "maxOutputTokens", "the provider did not say how many tokens it is"
        elif answer.output_tokens > most:
            yield "maxOutputTokens", f"{answer.output_tokens:,} tokens, at most {most:,}"
    if with_model and expected.model and answer.model != expected.model:
        yield "model", f"{answer.model}, not {expected.model}"
    if expected.no_refusal and (answer.refused or refuses(text)):
        yield "noRefusal", "it refuses"
    if (least := expected.min_confidence) is not None and (confidence := _confidence(case, answer)) < least:
        yield "minConfidence", f"{confidence:.2f}, at least {least:g}"


def _wordings(case: Case, text: str) -> Iterator[tuple[str, str]]:
    expected = case.expected
    for name, texts in (("contains", expected.contains), ("doesNotContain", expected.lacks)):
        for position, each in enumerate(texts):
            if (each in text) is (name == "doesNotContain"):
                yield _at(name, position, texts), "not in the answer" if name == "contains" else "in the answer"
    for position, pattern in enumerate(expected.matches):
        try:
            if not found(pattern, text):
                yield _at("matches", position, expected.matches), "not found in the answer"
        except PatternError as error:
            yield _at("matches", position, expected.matches), str(error)
    if expected.equals is not None and text.strip() != expected.equals.strip():
        yield "equals", "the answer is another"


def _at(name: str, position: int, texts: Sequence[str]) -> str:
    return f"{name}[{position}]" if len(texts) > 1 else name


def _wrong_json(request: Mapping[str, Any], text: str) -> str:
    try:
        value = decode(text.encode(errors="replace"))
    except NotJsonError:
        return "it is no JSON"
    wanted = request["response_format"]
    if wanted["type"] == "json_object":
        return "" if isinstance(value, dict) else "it is no object"
    described = wanted.get("json_schema")
    schema = described.get("schema") if isinstance(described, dict) else None
    return (mismatch(value, schema) or "") if isinstance(schema, dict) else ""


def _confidence(case: Case, answer: Answer) -> float:
    if answer.confidence is not None:
        return answer.confidence
    wanted = case.request.get("response_format")
    is_json = isinstance(wanted, dict) and wanted.get("type") in {"json_object", "json_schema"}
    return judge(
        Judged(
            prompt=_asked(case.request),
            response=answer.text,
            finish_reason=answer.finish_reason,
            logprobs=answer.logprobs,
            valid_json=not _wrong_json(case.request, answer.text) if is_json else None,
            refused=answer.refused,
        )
    ).value


def _asked(request: Mapping[str, Any]) -> str:
    """What the user said last."""
    said = next((each["content"] for each in reversed(request["messages"]) if each.get("role") == "user"), "")
    if isinstance(said, str):
        return said
    parts = said if isinstance(said, list) else []
    texts = [part if isinstance(part, str) else part.get("text") for part in parts]
    return "\n".join(each for each in texts if isinstance(each, str))
