"""Labelled answers: what is read of the data sets, and which belong together."""

import gzip
import json
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pointsman_sidecar.confidence import Judged
from pointsman_sidecar.confidence.signals import signals

SETS = ("routellm_gsm8k_dev", "zeroeval_gsm_dev", "zeroeval_math_l5")
FOLDS = 5


@dataclass(frozen=True, slots=True)
class Sample:
    """A cheap model's answer: what is seen of it, whether it is right, and what the strong model would add."""

    id: str
    source: str
    fold: int
    seen: dict[str, float]
    is_right: float
    gain: float
    prompt_length: int


def read(folder: Path) -> list[Sample]:
    """All labelled answers, set by set, in the order of the files."""
    return [_sample(name, row) for name in SETS for row in _rows(folder / f"{name}.jsonl.gz")]


def of(samples: Sequence[Sample], source: str) -> list[Sample]:
    """Those of one set."""
    return [sample for sample in samples if sample.source == source]


def _rows(path: Path) -> list[dict[str, Any]]:
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines if line.strip()]


def _sample(source: str, row: dict[str, Any]) -> Sample:
    return Sample(
        id=row["id"],
        source=source,
        fold=_fold(row["prompt"]),
        seen=signals(Judged(prompt=row["prompt"], response=row["weak_response"])),
        is_right=float(row["weak_correct"]),
        gain=float(row["strong_correct"]) - float(row["weak_correct"]),
        prompt_length=len(row["prompt"]),
    )


def _fold(prompt: str) -> int:
    """By the question's letters and digits alone: the same question in two sets is in one fold."""
    plain = "".join(filter(str.isalnum, prompt.lower()))
    return zlib.crc32(f"fold:{plain}".encode()) % FOLDS
