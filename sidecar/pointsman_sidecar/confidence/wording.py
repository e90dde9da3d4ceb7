"""What an answer says of itself: that it refuses, that it is not sure, that it takes something back.

Phrases per language, with the apostrophes of keyboards. They are few and plain on purpose: a word that also stands in
sure answers does more harm than it finds.
"""

import re
from collections.abc import Iterable

REFUSALS: dict[str, tuple[str, ...]] = {
    "en": (
        "i can't", "i cannot", "i'm unable", "i am unable", "i won't", "i'm not able to", "i am not able to",
        "i'm sorry, but", "i am sorry, but", "as an ai", "as a language model", "i do not have access",
        "i don't have access", "i must decline",
    ),
    "de": (
        "ich kann nicht", "ich kann dir nicht", "ich kann ihnen nicht", "kann ich nicht", "tut mir leid",
        "als ki", "als sprachmodell", "ich habe keinen zugriff", "es tut mir leid",
    ),
    "fr": (
        "je ne peux pas", "je ne suis pas en mesure", "je suis désolé", "désolé, mais", "en tant qu'ia",
        "en tant que modèle", "je n'ai pas accès",
    ),
    "es": (
        "no puedo", "lo siento", "no me es posible", "como modelo de lenguaje", "como una ia", "no tengo acceso",
    ),
    "pt": ("não posso", "não consigo", "sinto muito", "como modelo de linguagem", "não tenho acesso"),
    "it": ("non posso", "mi dispiace", "non sono in grado", "come modello linguistico", "non ho accesso"),
    "nl": ("ik kan niet", "kan ik niet", "het spijt me", "als taalmodel", "ik heb geen toegang"),
    "zh": ("我不能", "我无法", "抱歉", "对不起", "作为一个人工智能", "作为ai"),
    "ja": ("申し訳ありません", "できません", "お答えできません", "できかねます"),
    "ru": ("я не могу", "извините", "к сожалению, я", "как языковая модель", "у меня нет доступа"),
}  # fmt: skip
HEDGES: dict[str, tuple[str, ...]] = {
    "en": (
        "i think", "i believe", "i guess", "i'm not sure", "i am not sure", "not certain", "probably", "perhaps",
        "might be", "may be", "possibly", "it seems", "it appears", "presumably", "if we assume", "assuming",
        "let's assume", "unclear", "not specified", "not enough information", "cannot be determined",
        "can't be determined", "cannot determine", "can't determine", "unknown", "i don't know", "i do not know",
    ),
    "de": (
        "ich glaube", "ich denke", "vermutlich", "wahrscheinlich", "vielleicht", "möglicherweise", "nicht sicher",
        "ich weiß nicht", "unklar", "angenommen", "nicht angegeben", "scheint",
    ),
    "fr": (
        "je pense", "je crois", "peut-être", "probablement", "je ne suis pas sûr", "il semble", "je ne sais pas",
        "supposons", "pas certain", "n'est pas précisé",
    ),
    "es": (
        "creo que", "quizás", "quizá", "tal vez", "probablemente", "no estoy seguro", "parece que", "no sé",
        "supongamos", "no se especifica",
    ),
    "pt": ("acho que", "talvez", "provavelmente", "não tenho certeza", "parece que", "não sei", "suponha"),
    "it": ("credo che", "penso che", "forse", "probabilmente", "non sono sicuro", "sembra che", "non so"),
    "nl": ("ik denk", "misschien", "waarschijnlijk", "niet zeker", "ik weet het niet", "lijkt erop"),
    "zh": ("可能", "也许", "大概", "不确定", "我不知道", "我认为", "似乎"),
    "ja": ("かもしれません", "おそらく", "多分", "と思います", "わかりません", "不明"),
    "ru": ("возможно", "наверное", "вероятно", "я думаю", "не уверен", "не знаю", "кажется"),
}  # fmt: skip
CORRECTIONS: dict[str, tuple[str, ...]] = {
    "en": (
        "wait,", "wait.", "actually,", "correction", "i made a mistake", "i made an error", "let me re", "let's re",
        "not possible", "impossible", "doesn't make sense", "does not make sense", "can't be negative",
        "cannot be negative", "contradict", "however, th", "however, since", "however, it", "apologies", "apologize",
        "there is an error", "there seems to be", "on second thought", "mistake",
    ),
    "de": (
        "moment,", "korrektur", "ich habe mich geirrt", "mein fehler", "nicht möglich", "unmöglich", "widerspr",
        "ergibt keinen sinn", "noch einmal von vorn",
    ),
    "fr": ("attendez", "en fait,", "correction", "je me suis trompé", "erreur", "impossible", "contredi"),
    "es": ("espera,", "en realidad,", "corrección", "me equivoqué", "cometí un error", "imposible", "contradi"),
    "pt": ("espere,", "na verdade,", "correção", "cometi um erro", "impossível", "contradi"),
    "it": ("aspetta,", "in realtà,", "correzione", "ho sbagliato", "impossibile", "contraddi"),
    "nl": ("wacht,", "correctie", "ik heb een fout", "onmogelijk", "tegenstrijdig"),
    "zh": ("等等", "更正", "我犯了", "不可能", "矛盾", "重新计算"),
    "ja": ("訂正", "間違えました", "間違い", "不可能", "矛盾"),
    "ru": ("подождите", "исправ", "я ошиб", "невозможно", "противореч"),
}  # fmt: skip
# A refusal comes at once.
_OPENING = 300


def _any_of(phrases: dict[str, tuple[str, ...]]) -> re.Pattern[str]:
    """One pattern for all of them: literals, so a text is gone through once. Words begin where the text's do."""
    listed = sorted({phrase for of_language in phrases.values() for phrase in of_language}, key=len, reverse=True)
    spaced = [re.escape(each) for each in listed if each.isascii() or each[0] < "\u2e80"]
    unspaced = [re.escape(each) for each in listed if not (each.isascii() or each[0] < "\u2e80")]
    return re.compile(rf"\b(?:{'|'.join(spaced)})|{'|'.join(unspaced)}")


_REFUSAL, _HEDGE, _CORRECTION = _any_of(REFUSALS), _any_of(HEDGES), _any_of(CORRECTIONS)
_MOST = 20


def refuses(text: str) -> bool:
    """Whether the answer begins as refusals do."""
    return _REFUSAL.search(_normal(text[:_OPENING])) is not None


def hedges(text: str) -> int:
    """How often it says that it is not sure."""
    return _count(_HEDGE.finditer(_normal(text)))


def corrections(text: str) -> int:
    """How often it takes something back, or finds that what it says cannot be."""
    return _count(_CORRECTION.finditer(_normal(text)))


def _normal(text: str) -> str:
    return text.lower().replace("’", "'")


def _count(matches: Iterable[object]) -> int:
    return sum(1 for _, _ in zip(range(_MOST), matches, strict=False))
