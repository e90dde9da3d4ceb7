"""Whether a text opens as a refusal does. Told by its first words, in the languages below; no other text is looked at.

Models refuse in few set phrases, and at once. A text that quotes one further down refuses nothing.
"""

_LONGEST = 160
_APOSTROPHES = str.maketrans({"\u2019": "'", "\u2018": "'"})  # noqa: RUF100
_OPENINGS = (
    # English
    "i'm sorry, but i can't",
    "i'm sorry, but i cannot",
    "i'm sorry, but i am unable",
    "i'm sorry, but i'm unable",
    "i'm sorry, but i'm not able",
    "i'm sorry, i can't",
    "i'm sorry, i cannot",
    "i am sorry, but i can't",
    "i am sorry, but i cannot",
    "sorry, but i can't",
    "sorry, i can't",
    "i apologize, but i can't",
    "i apologize, but i cannot",
    "i can't help with",
    "i can't assist with",
    "i cannot help with",
    "i cannot assist with",
    "i cannot provide",
    "i can't provide",
    "i'm unable to",
    "i am unable to",
    "i'm not able to",
    "i am not able to",
    "i won't be able to",
    "as an ai language model, i can",
    # German
    "es tut mir leid, aber ich kann",
    "tut mir leid, aber ich kann",
    "es tut mir leid, aber das kann ich nicht",
    "dabei kann ich nicht helfen",
    "dabei kann ich leider nicht helfen",
    # French
    "je suis désolé, mais je ne peux pas",
    "je suis désolée, mais je ne peux pas",
    "désolé, mais je ne peux pas",
    "je ne peux pas vous aider",
    "je ne peux pas t'aider",
    # Spanish
    "lo siento, pero no puedo",
    "no puedo ayudarte con",
    "no puedo ayudarle con",
    # Italian
    "mi dispiace, ma non posso",
    # Portuguese
    "desculpe, mas não posso",
    "sinto muito, mas não posso",
)


def opens_with_refusal(text: str) -> bool:
    """Whether it does."""
    opening = " ".join(text[:_LONGEST].translate(_APOSTROPHES).casefold().split())
    return opening.startswith(_OPENINGS)


LONGEST_OPENING = max(map(len, _OPENINGS))
"""After so many characters, a text that does not refuse will not."""
