"""Whether a text holds program code or formulas, by marks that prose does not have; at a cost that is bounded."""

import re

from pointsman_sidecar.routing.matchers import Kind

_BEGINS = (
    "#!/", "#include", "async def ", "class ", "const ", "def ", "delete from ", "elif ", "except ", "export ", "fn ",
    "for (", "func ", "function ", "if (", "impl ", "import ", "insert into ", "interface ", "let ", "package ",
    "private ", "protected ", "pub fn ", "public ", "return ", "struct ", "try:", "try {", "using ", "var ", "while (",
    "with open(", "$ ", ">>> ",
)  # fmt: skip
_CODE_ENDS = (";", "{", "}", "):", ");", "=>", "->")
_ENOUGH_LINES = 2
_MOST_LINES = 200
_CODE = re.compile(
    r"```|</[a-z]\w{0,20}>|\b(?:select|SELECT)\b[^\n]{1,80}\b(?:from|FROM)\b|[\w.]\([^()\n]{0,60}\)\s?[;{]"
    r"|\b(?:def|function|fn|func)\s\w{1,60}\(|\w(?:\+\+|--);|[!=]==|&&\s?\w|\w->\w|\w::\w"
)
_MATHS = re.compile(
    r"\\(?:frac|sum|int|sqrt|lim|prod|cdot|times|alpha|beta|theta|pi|left|begin\{(?:equation|align|p?matrix))\b"
    r"|\\[\[(]|\$\$"
    # Signs of sums, roots, relations and sets; by numbers, since some look like letters.
    r"|[\u2200-\u22ff\u00b1\u00b2\u00b3\u00d7\u00f7]"
    r"|(?<![\w.])(?:\d{1,12}(?:\.\d{1,12})?|\d{0,6}[a-z]|\))\s?[=^+*]\s?[-(]?(?:\d|[a-z](?![a-z]))"
    r"|(?<![\w.])(?:\d{1,12}|[a-z])\s[-/]\s(?:\d|[a-z](?![a-z]))"
)


def kinds_in(text: str) -> frozenset[Kind]:
    """What the text holds of them."""
    found = set()
    if _is_code(text):
        found.add(Kind.CODE)
    if _MATHS.search(text):
        found.add(Kind.MATHS)
    return frozenset(found)


def _is_code(text: str) -> bool:
    if _CODE.search(text):
        return True
    like_code = 0
    for line in text.split("\n", _MOST_LINES):
        bare = line.strip()
        if bare.endswith(_CODE_ENDS) or (bare.lower().startswith(_BEGINS) and not bare.endswith((".", "?", "!"))):
            like_code += 1
    return like_code >= _ENOUGH_LINES
