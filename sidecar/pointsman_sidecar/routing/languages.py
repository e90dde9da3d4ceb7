"""The language of a text: by its script where that says it, else by the small words that every sentence has.

No model and no library: a few look-ups in sets, on the first 2,000 characters. It knows the languages below and says
nothing of others, nor of texts of a word or two.
"""

import re
from collections.abc import Mapping

_LONGEST = 2_000
_LEAST_HITS = 2
_LEAST_SHARE = 0.12
_WORD = re.compile(r"[^\W\d_]+")
# One of many letters may be a name or a loan: the script must have this share of the text's letters.
_MOST_LETTERS = 0.3
_SCRIPTS: tuple[tuple[str, re.Pattern[str]], ...] = (
    ("ja", re.compile(r"[\u3040-\u30ff]")),
    ("ko", re.compile(r"[\u1100-\u11ff\uac00-\ud7af]")),
    ("zh", re.compile(r"[\u3400-\u4dbf\u4e00-\u9fff]")),
    ("ar", re.compile(r"[\u0600-\u06ff]")),
    ("he", re.compile(r"[\u0590-\u05ff]")),
    ("el", re.compile(r"[\u0370-\u03ff]")),
    ("th", re.compile(r"[\u0e00-\u0e7f]")),
    ("hi", re.compile(r"[\u0900-\u097f]")),
)
# Japanese is written with Chinese characters too, and with kana among them always.
_LEAST_KANA = 0.05
# Persian and Urdu have letters that Arabic has not: they are none of these languages.
_NOT_ARABIC = re.compile(r"[پچژگکیٹڈڑےں]")

_SMALL_WORDS: Mapping[str, str] = {
    "en":
        "the and is are was were what how why who which this that these with for from you your my we they it in of to "
        "a an can could would should do does did have has had not be been will if or but about there when where "
        "please i me as at may just so by more than into does then them his her its our us many much any some no yes "
        "want need make give tell write explain hello thanks",
    "de":
        "der die das und ist sind war waren was wie warum wer welche dieser diese mit für von sie ihr mein wir ich es "
        "im in den dem des ein eine einen einem kann können könnte würde soll hat haben nicht sein wird werden wenn "
        "oder aber über zu auf bei nach bitte mir mich uns zum zur auch noch",
    "fr":
        "le la les et est sont était que quoi comment pourquoi qui quel quelle ce cette ces avec pour de des du vous "
        "votre mon ma nous ils elle il je un une dans peut pouvez pourrait avoir ont pas être sera si ou mais sur au "
        "aux en ne plus où quand moi me mes ai suis combien",
    "es":
        "el la los las y es son era qué que cómo por quién cuál este esta estos con para de del usted su mi nosotros "
        "ellos un una en puede puedo podría tiene tengo no ser será si o pero sobre al se lo cuando dónde cuánto me "
        "más hay muy como",
    "it":
        "il lo la gli le e è sono era che cosa come perché chi quale questo questa con per di del della dei delle tu "
        "suo mio noi loro un una in può posso potrebbe ha ho hanno non essere sarà se o ma su al alla nel mi si più "
        "quando dove ci",
    "pt":
        "o a os as e é são era que como por quem qual este esta isso com para de do da dos das você seu meu minha nós "
        "eles um uma em no na pode posso poderia tem tenho não ser será se ou mas sobre ao à mais quando onde me eu",
    "nl":
        "de het een en is zijn was waren wat hoe waarom wie welke dit deze die dat met voor van u uw je jouw mijn wij "
        "we ze ik in op kan kunnen zou moet heeft hebben niet worden wordt als of maar over er naar bij ook aan te om",
    "sv":
        "och är var vad hur varför vem vilken detta denna den det en ett med för från av du din min vi de jag i på "
        "kan kunde skulle har hade inte vara blir om eller men till när som att mig sig också",
    "da":
        "og er var hvad hvordan hvorfor hvem hvilken dette denne den det en et med for fra af du din min vi de jeg i "
        "på kan kunne skulle har havde ikke være bliver hvis eller men til når som at mig sig også der",
    "no":
        "og er var hva hvordan hvorfor hvem hvilken dette denne den det en et ei med for fra av du din min vi de jeg "
        "i på kan kunne skulle har hadde ikke være blir hvis eller men til når som å meg seg også der",
    "fi":
        "ja on ovat oli mitä miten miksi kuka mikä tämä nämä se ne että kanssa sinä minä me he hän voi voin voisi "
        "pitäisi ei en olla tulee jos tai mutta kun missä myös minun sinun kuinka niin ole olen",
    "pl":
        "i jest są był była co jak dlaczego kto który która ten ta to te z dla od ty twój mój my oni ja w na może "
        "mogę ma mam nie być będzie jeśli lub ale o do czy się po gdy gdzie proszę przez",
    "cs":
        "a je jsou byl byla co jak proč kdo který která ten ta to tyto s pro od ty tvůj můj my oni já v na může mohu "
        "má mám není být bude jestli nebo ale o do se po když kde prosím že si",
    "hu":
        "a az és van vannak volt mi hogyan miért ki melyik ez ezek azok nem is hogy meg egy lehet kell ha vagy de "
        "mert mint csak én te ő mennyi hol mikor kérem már még",
    "ro":
        "și este sunt era ce cum de cine care acest această cu pentru din tu meu noi ei un o în pe poate pot are am "
        "nu fi va dacă sau dar despre la să se mai când unde îmi ai al",
    "tr":
        "ve bir bu şu o ne nasıl neden kim hangi için ile mi mı mu mü ben sen biz siz değil var yok olan olarak gibi "
        "daha çok ama veya eğer nerede zaman kadar en da de bana",
    "vi":
        "và là của có không được cho một những các này đó với trong tôi bạn chúng ta như thế nào tại sao khi nào ở "
        "đâu gì người để về hãy rằng nếu hoặc nhưng",
    "id":
        "dan yang adalah ini itu dengan untuk dari di ke apa bagaimana mengapa siapa saya anda kamu kami kita mereka "
        "tidak bisa dapat akan jika atau tetapi tentang pada sudah belum ada dalam tolong",
    "ru":
        "и в не на я что как почему кто это с для от вы ты мы они он она мой мне могу может есть был была если или но "
        "о по у так же бы где когда из к за чтобы",
    "uk":
        "і в не на я що як чому хто це з для від ви ти ми вони він вона мій мені можу може є був була якщо або але "
        "про по у та ж би де коли із до за щоб й",
    "bg":
        "и в не на аз какво как защо кой това с за от вие ти ние те той тя моят мога може е са беше ако или но по да "
        "се ще си къде кога към че съм са",
}  # fmt: skip
_LANGUAGES_OF: dict[str, list[str]] = {}
for _code, _words in _SMALL_WORDS.items():
    for _word in set(_words.split()):
        _LANGUAGES_OF.setdefault(_word, []).append(_code)
LANGUAGES = frozenset({*_SMALL_WORDS, *(code for code, _ in _SCRIPTS)})
"""Those that can be told, as ISO 639-1 has them."""


def language_of(text: str) -> str:
    """The language's code; empty where it cannot be told."""
    text = text[:_LONGEST]
    if not text.isascii() and (script := _by_script(text)) is not None:
        return script
    words = _WORD.findall(text.lower())
    hits: dict[str, int] = {}
    for word in words:
        for code in _LANGUAGES_OF.get(word, ()):
            hits[code] = hits.get(code, 0) + 1
    ranked = sorted(hits, key=lambda code: -hits[code])
    if not ranked or hits[ranked[0]] < max(_LEAST_HITS, _LEAST_SHARE * len(words)):
        return ""
    # Where two have as many, nobody can tell.
    return "" if len(ranked) > 1 and hits[ranked[1]] == hits[ranked[0]] else ranked[0]


def _by_script(text: str) -> str | None:
    """The language whose script it is; empty where it is of none of ours, None where the words must tell."""
    letters = sum(map(str.isalpha, text)) or 1
    for code, script in _SCRIPTS:
        share = len(script.findall(text)) / letters
        if share >= (_LEAST_KANA if code == "ja" else _MOST_LETTERS):
            return "" if code == "ar" and _NOT_ARABIC.search(text) else code
    return None
