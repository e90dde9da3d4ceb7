"""Words that tell something about a question whatever it is about, in several languages."""

from enum import IntEnum


class Sort(IntEnum):
    """What a word tells."""

    FUNCTION = 0
    NEGATION = 1
    STEP = 2
    QUESTION = 3
    TASK = 4
    HEDGE = 5
    WHOLE = 6
    SETTING = 7


_WORDS = {
    Sort.FUNCTION: "the of a an and to in is are was were for on with by as at from that this it be or der die das "
    "und ist ein eine zu le la les des et est un une de el los y es que en",
    Sort.NEGATION: "not no never except false incorrect neither nor without cannot least isn't doesn't don't nicht "
    "kein keine nie sauf jamais sin nunca",
    Sort.STEP: "then after before each every if more than twice half total remaining left first second next finally "
    "times per double triple fewer less rest dann jeder jede wenn mehr als doppelt insgesamt ensuite chaque si plus "
    "entonces cada total doble",
    Sort.QUESTION: "what which who when where why how whose was welche wer wann wo warum wie quel quelle qui quand "
    "pourquoi comment cual quien cuando donde",
    Sort.TASK: "calculate find determine compute evaluate estimate solve prove show derive integral matrix theorem "
    "berechne bestimme beweise zeige finde calculer calculez trouver prouver montrer demuestra calcula calcule "
    "determina halla encuentra",
    Sort.HEDGE: "because would should could might likely probably most best if suppose assume assuming",
    Sort.WHOLE: "above all none both following",
    Sort.SETTING: "according passage text paragraph refer information following statement",
}
# The later sort of a word that stands in two is the more telling one.
SORTS: dict[bytes, int] = {word.encode(): sort for sort, words in _WORDS.items() for word in words.split()}
# What a question asks for, each a measure of its own, in the order of the measures' names.
CUES = tuple(
    frozenset(word.encode() for word in words.split())
    for words in (
        "which welche welcher welches quel quelle cuál",
        "not except nicht außer sauf excepto",
        "best beste besten meilleur meilleure mejor",
        "most meisten",
        "calculate find determine compute berechne bestimme calculer calculez calcula calcule determina",
        "how wie comment cómo",
        "why warum pourquoi",
        "what was qué",
        "describe explain beschreibe erkläre décrivez expliquez explica",
    )
)
# In scripts without spaces, and in others that the lists above leave out: a task, wherever it stands.
_TASKS = (
    "证明", "求", "计算", "解方程", "証明", "計算", "求め", "증명", "구하", "계산",
    "докаж", "вычисл", "найд", "решит", "برهن", "احسب", "أثبت", "أوجد", "सिद्ध", "गणना", "ज्ञात",
)  # fmt: skip
TASKS = tuple(each.encode() for each in _TASKS)

_PROOFS = (
    "prove", "proving", "beweise", "beweisen", "demuestra", "demuestre", "demostrar", "démontrer", "démontrez",
    "prouver", "prouvez", "dimostra", "dimostrare",
)  # fmt: skip
PROOFS = frozenset(each.encode() for each in _PROOFS)
_FORMAL = (
    "∑", "∫", "√", "∞", "≡", "≤", "≥", "∂", "∀", "∃", "∈", "∇",
    "证明", "証明", "증명", "докаж", "Докаж", "أثبت", "برهن", "सिद्ध",
)  # fmt: skip
FORMAL = tuple(each.encode() for each in _FORMAL)
