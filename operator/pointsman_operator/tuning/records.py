"""What is kept of policies, as text that people can read: pure."""

import json
from array import array
from dataclasses import dataclass
from typing import Any

from pointsman_operator.resources import Key
from pointsman_operator.tuning import kept_splits
from pointsman_operator.tuning.calibrations import BINS as LABEL_BINS
from pointsman_operator.tuning.calibrations import Labels, told
from pointsman_operator.tuning.states import PolicyState
from pointsman_operator.tuning.thresholds import BINS, Scores


class UnreadableRecordError(Exception):
    """The text is no record of ours."""


@dataclass(frozen=True, kw_only=True)
class Record:
    """A state, and when it was written, in seconds since 1970: what was counted until then is in it."""

    state: PolicyState
    at: int


def encode(record: Record) -> str:
    """The record as text."""
    state, scores = record.state, record.state.scores
    content: dict[str, Any] = {
        "namespace": state.policy.namespace,
        "policy": state.policy.name,
        "version": state.version,
        "at": record.at,
    }
    if scores != Scores():
        content["complexity"] = {
            "share": scores.share,
            "threshold": scores.threshold,
            "judged": round(scores.judged, 1),
            "high": round(scores.high, 1),
            "pace": round(scores.pace),
            "scores": [_short(count) for count in scores.bins],
        }
    if state.labels:
        content["labels"] = {
            model: {"right": labels.right, "wrong": labels.wrong} for model, labels in state.labels.items()
        }
    if state.splits.splits:
        content["splits"] = kept_splits.encode(state.splits)
    return json.dumps(content, separators=(",", ":"))


def decode(uid: str, text: str) -> Record:
    """Read a record of the policy with this UID.

    Raise UnreadableRecordError. What is not known is passed over: it is of a later version.
    """
    try:
        content = json.loads(text)
        labels = _labels(content.get("labels", {}))
        state = PolicyState(
            policy=Key(str(content["namespace"]), str(content["policy"])),
            uid=uid,
            version=int(content["version"]),
            scores=_scores(content.get("complexity")),
            labels=labels,
            told_labels=told({}, labels),
            splits=kept_splits.decode(content.get("splits")),
        )
        return Record(state=state, at=int(content["at"]))
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        raise UnreadableRecordError(f"it holds what is no tuning of ours ({error!r})") from error


def _scores(content: Any) -> Scores:
    if content is None:
        return Scores()
    bins = array("d", (float(count) for count in content["scores"]))
    if len(bins) != BINS or any(not 0 <= count < float("inf") for count in bins):
        raise ValueError(f"not {BINS} numbers of scores")
    threshold = content["threshold"]
    return Scores(
        bins=bins,
        judged=float(content["judged"]),
        high=float(content["high"]),
        pace=float(content["pace"]),
        share=int(content["share"]),
        threshold=None if threshold is None else float(threshold),
    )


def _labels(content: Any) -> dict[str, Labels]:
    return {
        str(model): Labels(right=_counts(labels["right"]), wrong=_counts(labels["wrong"]))
        for model, labels in content.items()
    }


def _counts(content: Any) -> tuple[int, ...]:
    counts = tuple(int(count) for count in content)
    if len(counts) > LABEL_BINS or any(count < 0 for count in counts):
        raise ValueError(f"not up to {LABEL_BINS} counts of labels")
    return counts


def _short(count: float) -> float | int:
    rounded = round(count, 2)
    return int(rounded) if rounded == int(rounded) else rounded
