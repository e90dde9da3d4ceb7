"""The recorded results to learn from: for each question, what the stronger model was worth.

The folder's own DATA.md says what each file holds and what may be done with it.
"""

import gzip
import json
import re
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

# What is trained on, and the weight of a row. Results whose licence is not stated are left out.
TRAINED = {
    "routellm_mmlu_dev": 1.0,
    "routellm_gsm8k_dev": 1.0,
    "mmlupro_dev": 1.0,
    "zeroeval_gsm_dev": 0.5,
    "zeroeval_math_l5": 0.5,
    "ulab_llmrouter": 1.0,
}
# The two that are compared where a set has results of many.
PAIRS = {
    "routerbench_subset": ("mistralai/mixtral-8x7b-chat", "gpt-4-1106-preview"),
    "ulab_llmrouter": ("qwen2.5-7b-instruct", "llama-3.1-nemotron-51b-instruct"),
}
_LARGE = ("llama-3.1-nemotron-51b-instruct", "llama-3.3-nemotron-super-49b-v1")
_SMALL = (
    "codegemma-7b",
    "gemma-2-9b-it",
    "llama-3.1-8b-instruct",
    "mistral-7b-instruct-v0.3",
    "qwen2.5-7b-instruct",
)
_LETTERS = re.compile(r"[^a-z0-9]+")


class NoDataError(Exception):
    """The folder with the recorded results is missing, or a file in it is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One question: `target` is what is learnt, the gain averaged over the pairs that there are results of."""

    id: str
    source: str
    category: str
    prompt: str
    weak: float
    strong: float
    target: float
    question: int

    @property
    def gain(self) -> float:
        """What the stronger model of the set's own pair gained."""
        return self.strong - self.weak


def read(folder: Path, source: str) -> list[Row]:
    """All rows of a set.

    Raises:
        NoDataError: there is no such file.
    """
    path = folder / f"{source}.jsonl.gz"
    if not path.is_file():
        raise NoDataError(
            f"{path} is missing: give the folder with the recorded results, such as make eval DATA=folder"
        )
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        return [_row(json.loads(line), source) for line in lines if line.strip()]


def read_all(folder: Path) -> Iterator[Row]:
    """All rows that are trained on."""
    for source in TRAINED:
        yield from read(folder, source)


def _row(raw: Mapping[str, Any], source: str) -> Row:
    if "prompt" in raw:
        prompt = raw["prompt"]
        question = prompt.partition("\nA. ")[0].partition("\nAfter careful thought")[0]
    else:
        prompt, question = "\n".join([raw["question"], *raw["options"]]), raw["question"]
    if "score" in raw:
        scores = {name: float(each) for name, each in raw["score"].items()}
        weak, strong = (scores[each] for each in PAIRS[source])
        target = strong - weak
        if source == "ulab_llmrouter":
            # Two large models above five small ones: what one pair says of a question is mostly luck.
            large, small = fmean(scores[each] for each in _LARGE), fmean(scores[each] for each in _SMALL)
            target = (target + large - small) / 2
    else:
        weak, strong = float(raw["weak_correct"]), float(raw["strong_correct"])
        other = raw.get("gemini15pro_correct")
        target = (strong if other is None else (strong + other) / 2) - weak
        if source.startswith("zeroeval"):
            # These two are so close that their difference is noise; where the weaker fails is not.
            target = 1 - weak
    return Row(
        id=raw["id"],
        source=source,
        category=raw.get("category", ""),
        prompt=prompt,
        weak=weak,
        strong=strong,
        target=target,
        # Two sets may ask the same: whoever is scored on it must not have been trained on it under another name.
        question=zlib.crc32(_LETTERS.sub("", question.lower()).encode()),
    )
