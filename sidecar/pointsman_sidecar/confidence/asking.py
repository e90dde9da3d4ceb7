"""What a question asks for, as far as it can be told by a few words: a count, money, a rest, a share, a time."""

import re
from dataclasses import dataclass

_COUNT = re.compile(r"\b(?:how many|number of|wie viele|combien|cuánt[oa]s|quant[oai]s?|hoeveel)\b")
_MONEY = re.compile(
    r"[$€£¥₹]|\b(?:dollars?|cents?|euros?|pounds? sterling|cost|costs|price|pay|paid|earn|earns|spend|spent|profit|"
    r"preis|kostet|prix|coûte|precio|cuesta)\b"
)
_REST = re.compile(
    r"\b(?:left|remain|remains|remaining|fewer|less|difference|change|übrig|reste|restent|quedan|queda|restante|over)\b"
)
_SHARE = re.compile(
    r"\b(?:average|mean|per|each|percent|percentage|split|divide|divided|share|equally|evenly|ratio|durchschnitt|"
    r"prozent|moyenne|promedio|porcentaje|media)\b"
)
_TIME = re.compile(r"\b(?:hours?|minutes?|days?|weeks?|months?|years?|old|age|stunden?|minuten|heures?|horas?|años)\b")
_CONDITION = re.compile(
    r"\b(?:if|unless|except|until|before|after|when|while|then|but|however|wenn|bis|si|sauf|avant|hasta|antes|cuando)\b"
)
_COMPARISON = re.compile(
    r"\b(?:more than|less than|fewer than|times as|times more|older than|younger than|longer than|shorter than|"
    r"as many as|as much as|twice|thrice|half|rest|another|both|remaining|third|quarter|ago|mehr als|weniger als|"
    r"doppelt|plus que|moins que|más que|menos que|doble)\b"
)
_QUESTION = 240
_MOST = 30


@dataclass(frozen=True, slots=True)
class Asked:
    """What is asked, and how much is said before."""

    asks_count: bool
    asks_money: bool
    asks_rest: bool
    asks_share: bool
    asks_time: bool
    sentences: int
    conditions: int
    comparisons: int


def asked(prompt: str) -> Asked:
    """Read the question: of a longer text, what stands at its end."""
    lowered = prompt.lower()
    end = lowered.rstrip()[-_QUESTION:]
    # The last sentence, with its question mark.
    last = end[max(end.rfind(stop, 0, max(0, len(end) - 2)) for stop in (". ", "? ", "! ", "\n")) + 1 :]
    return Asked(
        asks_count=_COUNT.search(last) is not None,
        asks_money=_MONEY.search(last) is not None,
        asks_rest=_REST.search(last) is not None,
        asks_share=_SHARE.search(last) is not None,
        asks_time=_TIME.search(last) is not None,
        sentences=min(_MOST, sum(lowered.count(stop) for stop in (". ", "? ", "! ", "。")) + 1),
        conditions=min(_MOST, len(_CONDITION.findall(lowered))),
        comparisons=min(_MOST, len(_COMPARISON.findall(lowered))),
    )
