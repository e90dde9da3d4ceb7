"""Everything that is seen of an answer, as numbers by name."""

import math

from pointsman_sidecar.confidence import excerpts, shapes, wording
from pointsman_sidecar.confidence.answers import Judged
from pointsman_sidecar.confidence.asking import Asked, asked
from pointsman_sidecar.confidence.equations import Reckoning, Verdict, reckoning
from pointsman_sidecar.confidence.finals import Final, Style, final
from pointsman_sidecar.confidence.likelihoods import likelihood
from pointsman_sidecar.confidence.quantities import Given, given, provenance
from pointsman_sidecar.confidence.tokens import Kind

Signals = dict[str, float]
# A question with so many numbers is one to reckon with.
_A_PROBLEM = 2
_HUNDRED = 100
_JSON = {"{", "[", "`"}


def signals(answer: Judged) -> Signals:
    """See what can be seen, in the order in which it is shown."""
    response = excerpts.of_answer(answer.response)
    prompt = excerpts.of_prompt(answer.prompt)
    text = unescaped(response.text)
    reckoned, ended, numbers, question = reckoning(text), final(text), given(prompt.text), asked(prompt.text)
    seen = _form(answer, text, reckoned) | _words(text)
    # What is learned of sums says nothing of prose: these signals are left out, which is to say that nothing was seen.
    if reckoned.equations or reckoned.annotated or len(numbers.digits) + len(numbers.words) >= _A_PROBLEM:
        seen |= _ending(ended) | _sums(reckoned)
        seen |= _numbers(reckoned, ended, numbers, question)
        seen |= _question(prompt, numbers, question)
        seen["length"] = _log(response.length)
        seen["length_to_prompt"] = _log(response.length) - _log(prompt.length)
    said = likelihood(answer.logprobs)
    if said is not None:
        seen |= {
            "least_probable": said.least,
            "probable_p5": said.fifth_percentile,
            "probable_p50": said.median,
            "doubtful_tokens": said.doubtful,
        }
    return seen


def unescaped(text: str) -> str:
    """An answer in JSON as it reads."""
    if "\\" not in text or text.lstrip()[:1] not in _JSON:
        return text
    return text.replace("\\n", "\n").replace('\\"', "'").replace("\\\\", "\\")


def _form(answer: Judged, text: str, reckoned: Reckoning) -> Signals:
    return {
        "refused": float(answer.refused or wording.refuses(text)),
        "empty": float(not text.strip()),
        "stopped_early": float(answer.finish_reason in {"length", "content_filter"}),
        "ends_openly": float(shapes.ends_openly(text) or reckoned.is_cut),
        "unbalanced": float(shapes.is_unbalanced(text) or shapes.has_open_fence(text)),
        "repetition": shapes.repetition(text),
        "invalid_json": float(answer.valid_json is False),
    }


def _ending(ended: Final) -> Signals:
    return {
        "final_is_marked": float(ended.style is Style.MARK),
        "final_is_said": float(ended.style in {Style.SENTENCE, Style.CONCLUSION}),
        "final_has_words": float(ended.style is Style.MARK and ended.words > 0),
        "final_has_numbers": float(ended.style is Style.MARK and ended.numbers > 1),
    }


def _words(text: str) -> Signals:
    return {"hedges": _log(wording.hedges(text)), "corrections": _log(wording.corrections(text))}


def _sums(reckoned: Reckoning) -> Signals:
    every = (*reckoned.equations, *reckoned.annotated)
    wrong = sum(each.verdict is Verdict.WRONG for each in every)
    # Beside unknowns what looks like a sum is often a part of one: such a mistake is a weaker sign.
    is_algebra = any(token.kind is Kind.UNKNOWN for token in reckoned.tokens)
    return {
        "sums": _log(len(reckoned.equations)),
        "wrong_sums": 0.0 if is_algebra else float(min(wrong, 3)),
        "has_wrong_sum": float(wrong > 0 and not is_algebra),
        "has_wrong_algebra": float(wrong > 0 and is_algebra),
        "rounded_sums": float(min(2, sum(each.verdict is Verdict.ROUNDED for each in every))),
        "annotated_sums": float(bool(reckoned.annotated)),
    }


def _numbers(reckoned: Reckoning, ended: Final, numbers: Given, question: Asked) -> Signals:
    equations = reckoned.equations or reckoned.annotated
    mentioned = [token.value for token in reckoned.tokens if token.kind is Kind.NUMBER]
    traced = provenance(equations, numbers, mentioned)
    operators = "".join(each.left.operators for each in equations)
    last = ended.number.value if ended.number is not None else None
    everything = [*numbers.digits, *numbers.words]
    largest = max((abs(each) for each in everything), default=1.0)
    is_whole = last is None or last == round(last)
    steps = len(equations)
    return {
        "final_has_number": float(last is not None),
        "final_is_last_sum": float(last is not None and bool(equations) and _near(last, equations[-1].result)),
        "final_is_a_result": float(last is not None and any(_near(last, each.result) for each in equations)),
        "final_is_given": float(last is not None and any(_near(last, each) for each in everything)),
        "final_is_fraction": float(not is_whole),
        "final_is_fraction_of_count": float(not is_whole and question.asks_count and not question.asks_money),
        "final_has_odd_cents": float(
            last is not None and question.asks_money and not _near(last * 100, round(last * 100))
        ),
        "final_has_one_decimal": float(not is_whole and last is not None and _near(last * 10, round(last * 10))),
        "final_is_negative": float(last is not None and last < 0),
        "final_is_zero": float(last == 0),
        "final_magnitude": _clip(math.log10((abs(last) + 1) / (largest + 1))) if last is not None else 0.0,
        "foreign_operands": _log(traced.foreign),
        "foreign_share": traced.foreign / max(1, traced.operands),
        "customary_operands": _log(traced.customary),
        "unused_given": _log(traced.unused_given),
        "unused_given_share": traced.unused_given / max(1, len(set(numbers.digits))),
        "unused_results": _log(traced.unused_results),
        "repeated_results": _log(traced.repeated_results),
        "negative_results": _log(traced.negative_results),
        "fractional_results": _log(traced.fractional_results),
        "steps_to_given": _clip(math.log((steps + 1) / (len(everything) + 1))),
        "few_steps": float(steps <= 1),
        "many_steps": max(0.0, steps - 5) ** 0.5,
        "adds": float("+" in operators),
        "subtracts": float("-" in operators),
        "multiplies": float("*" in operators),
        "divides": float("/" in operators),
        "divisions": _log(operators.count("/")),
        "no_subtraction_where_left": float(question.asks_rest and "-" not in operators),
        "no_division_where_share": float(question.asks_share and "/" not in operators),
        "no_percent_where_percent": float(numbers.has_percent and not _uses_percent(reckoned)),
    }


def _question(prompt: excerpts.Excerpt, numbers: Given, question: Asked) -> Signals:
    return {
        "prompt_length": _log(prompt.length),
        "prompt_numbers": _log(len(numbers.digits)),
        "prompt_number_words": _log(len(numbers.words)),
        "prompt_percent": float(numbers.has_percent),
        "prompt_fraction": float(numbers.has_fraction),
        "prompt_large_number": math.log10(1 + max((abs(each) for each in numbers.digits), default=0.0)) / 5,
        "prompt_sentences": _log(question.sentences),
        "prompt_conditions": _log(question.conditions),
        "prompt_comparisons": _log(question.comparisons),
        "asks_count": float(question.asks_count),
        "asks_money": float(question.asks_money),
        "asks_rest": float(question.asks_rest),
        "asks_share": float(question.asks_share),
        "asks_time": float(question.asks_time),
    }


def _uses_percent(reckoned: Reckoning) -> bool:
    equations = (*reckoned.equations, *reckoned.annotated)
    return any(each.left.has_percent or any(map(_is_of_percent, each.left.numbers)) for each in equations)


def _is_of_percent(number: float) -> bool:
    return number == _HUNDRED or (0 < number < 2 and number != 1)  # noqa: PLR2004 - 0.8, 1.2


def _near(one: float, other: float) -> bool:
    return abs(one - other) <= 1e-6 * max(1.0, abs(one), abs(other))


def _log(count: float) -> float:
    return math.log1p(count)


def _clip(value: float) -> float:
    return max(-3.0, min(3.0, value))
