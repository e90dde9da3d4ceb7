"""Shows the commands of examples/kubernetes/first-answer.sh in README.md and docs/install.md (make docs).

The script is what `make kind` and the node tier run. With `--check` this writes nothing and fails where a page shows
other commands.
"""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SCRIPT = ROOT / "examples" / "kubernetes" / "first-answer.sh"
PAGES = (ROOT / "README.md", ROOT / "docs" / "install.md")
_BEGIN = "<!-- commands of examples/kubernetes/first-answer.sh: written by `make docs` -->\n"
_END = "<!-- end of commands -->\n"


def commands(script: str) -> list[str]:
    """Its commands, as one would type them: all that follows `set -x`."""
    _, _, body = script.partition("\nset -x\n")
    return [line for line in body.splitlines() if line]


def written(page: str, *, script: str) -> str:
    """The page, with these commands between its two lines."""
    before, begin, rest = page.partition(_BEGIN)
    _, end, after = rest.partition(_END)
    if not (begin and end):
        sys.exit(f"the lines {_BEGIN.strip()} and {_END.strip()} are missing")
    block = "".join(["```console\n", *(f"$ {command}\n" for command in commands(script)), "```\n"])
    return f"{before}{begin}{block}{end}{after}"


def main() -> None:
    """Write the pages, or check them."""
    script = SCRIPT.read_text(encoding="utf-8")
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        expected = written(text, script=script)
        if "--check" not in sys.argv[1:]:
            page.write_text(expected, encoding="utf-8")
        elif text != expected:
            sys.exit(f"{page.relative_to(ROOT)} is out of date: run `make docs`")


if __name__ == "__main__":
    main()
