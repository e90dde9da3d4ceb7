"""The model's card: what it is, of what it was made, and what it is not."""

import hashlib
import json
from collections import Counter
from collections.abc import Sequence

from complexity.sets import TRAINED, Row

_LICENCES = {
    "routellm": "lm-sys/RouteLLM, Apache-2.0; questions of MMLU and GSM8K, MIT",
    "zeroeval": "WildEval/ZeroEval, Apache-2.0; questions of GSM8K and MATH, MIT",
    "mmlupro": "TIGER-AI-Lab/MMLU-Pro, Apache-2.0",
    "ulab": "ulab-uiuc/LLMRouter, MIT; the questions of its 11 tasks keep their own licences",
}


def card(rows: Sequence[Row], raw: bytes) -> str:
    """The card as JSON."""
    counted = Counter(each.source for each in rows)
    return (
        json.dumps(
            {
                "name": "complexity",
                "sha256": hashlib.sha256(raw).hexdigest(),
                "bytes": len(raw),
                "what": "Linear over hashed words, or pieces of them, and hand-made measures; five kinds of question. "
                "In: a text. Out: how much it needs the stronger model, as a rank from 0 to 1 among the questions "
                "below, each set by the root of its size.",
                "trained": [
                    {
                        "set": source,
                        "questions": counted[source],
                        "from": next(text for name, text in _LICENCES.items() if source.startswith(name)),
                    }
                    for source in TRAINED
                ],
                "licence": "Apache-2.0, as the code. It holds weights and hashes of words, no question.",
                "command": "make train DATA=folder",
                "quality": "docs/complexity.md: `make eval DATA=folder` prints it, cross-validated",
                "limits": [
                    "Learnt from exam questions, word problems and short questions in English.",
                    "Other languages are judged by form, numbers and a few words.",
                    "What the stronger model gains is hard to tell from a question alone: it is often wrong on one.",
                    "On sets of which it learnt nothing it picks no better than the prompt's length.",
                    "It knows nothing of the two models that are routed between.",
                    "Of a text over 1,600 bytes it sees the beginning, the end and four samples.",
                ],
            },
            indent=2,
        )
        + "\n"
    )
