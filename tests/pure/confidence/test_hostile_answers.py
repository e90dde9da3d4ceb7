"""No answer costs more than another: what is read is bounded, and each pattern goes through it once."""

import importlib
import pkgutil
import re
import sys
from collections.abc import Iterator

import pytest

from pointsman_sidecar import confidence
from pointsman_sidecar.confidence import Judged, excerpts, judge
from pointsman_sidecar.confidence.likelihoods import MOST_TOKENS as MOST_LOGPROBS
from pointsman_sidecar.confidence.likelihoods import likelihood
from pointsman_sidecar.confidence.signals import signals

UNITS = [
    "a", "1", "1 ", "(", "((", "1+", "1=", "1+1=2.\n", "<<", "<<1=", "<<1=1>>", "1,", ".", ".1", "1.", "-", " ", "\n",
    "\t\n", "\\frac{1}{", "\\frac{1}{2}", "\\text{", "i can", "i can't", "however, ", "9^9^", "可", "#", "####", "(1+",
    "1 / 1/", "1 x ", "seven ", '"answer": ', "\\boxed{", "answer is ", "answer:", "'", "a'", "a-", "1%", "_1", "\\",
    "{", "```", "so ", "$1,000,000", "½", "²", "\u0661", "\ud800", "\x00", "🙂", "e\u0301", "wait, ", "half ",
    "per ", "1 of ",
]  # fmt: skip
MEGABYTE = 1_000_000
# How many lines of Python an answer may take. The worst of the above takes about 100,000, whatever its length.
BOUND = 130_000


@pytest.mark.parametrize("unit", UNITS, ids=repr)
def test_a_megabyte_of_it_takes_no_more_steps_than_a_page(unit: str) -> None:
    page = unit * (4 * (excerpts.ANSWER_HEAD + excerpts.ANSWER_TAIL) // len(unit))
    much = unit * (MEGABYTE // len(unit))
    judge(Judged(prompt="", response=""))  # reads the model
    few, many = steps(page), steps(much)
    assert many <= few * 1.1 + 2_000
    assert many < BOUND


def steps(text: str) -> int:
    """The lines of Python that judging it takes."""
    count = 0

    def trace(*_: object) -> object:
        nonlocal count
        count += 1
        return trace

    before = sys.gettrace()
    sys.settrace(trace)  # type: ignore[arg-type] # a tracer gives itself back
    try:
        judge(Judged(prompt=text, response=text))
    finally:
        sys.settrace(before)
    return count


def patterns() -> Iterator[tuple[str, re.Pattern[str]]]:
    for module in pkgutil.iter_modules(confidence.__path__):
        loaded = importlib.import_module(f"{confidence.__name__}.{module.name}")
        for name, value in vars(loaded).items():
            if isinstance(value, re.Pattern):
                yield f"{module.name}.{name}", value


PATTERNS = dict(patterns())


def test_there_are_patterns_to_probe() -> None:
    assert len(PATTERNS) > 10


@pytest.mark.parametrize("name", PATTERNS)
def test_no_pattern_repeats_a_repetition(name: str) -> None:
    """What makes a pattern take quadratic time and more: an unbounded repeat with another inside."""
    tree = re._parser.parse(PATTERNS[name].pattern, PATTERNS[name].flags)  # type: ignore[attr-defined]
    assert nested(tree, inside=False) == []


def nested(tree: object, *, inside: bool) -> list[str]:
    """Unbounded repeats within unbounded repeats; but for those that begin with a literal, which is not repeated."""
    found: list[str] = []
    for operation, argument in tree:  # type: ignore[attr-defined]
        name = str(operation)
        if name in {"MAX_REPEAT", "MIN_REPEAT"}:
            _, most, body = argument
            is_unbounded = most == re._parser.MAXREPEAT  # type: ignore[attr-defined]
            if is_unbounded and inside:
                found.append(str(argument))
            starts_plainly = str(body[0][0]) == "LITERAL"
            found += nested(body, inside=inside or (is_unbounded and not starts_plainly))
        elif name == "SUBPATTERN":
            found += nested(argument[-1], inside=inside)
        elif name == "BRANCH":
            for branch in argument[1]:
                found += nested(branch, inside=inside)
    return found


def test_only_head_and_tail_of_an_answer_are_read() -> None:
    middle = "a. " * 100_000
    question = "Tom has 3 pears and 4 apples. How many fruits?"
    one, other = (
        signals(Judged(prompt=question, response=f"3 + 4 = 7\n{middle}{text}{middle}The answer is 7."))
        for text in ("12 * 3 = 99\n", "12 * 3 = 36\n")
    )
    assert one == other
    assert one["final_has_number"] == 1
    assert one["sums"] > 0


def test_only_so_many_log_probabilities_are_read() -> None:
    few = [-0.1] * MOST_LOGPROBS
    assert likelihood([*few[: MOST_LOGPROBS // 2], *([-9.0] * MEGABYTE), *few[MOST_LOGPROBS // 2 :]]) == likelihood(few)
