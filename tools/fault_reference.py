"""Writes docs/faults.md from the table that the tests try: `python tools/fault_reference.py` (make docs).

With `--check` it writes nothing and fails where the file is out of date.
"""

import sys
from collections.abc import Iterator
from pathlib import Path

from pointsman_sidecar.providers.outcomes import Outcome
from pointsman_sidecar.resilience.health import BAD

ROOT = Path(__file__).resolve().parent.parent
REFERENCE = ROOT / "docs" / "faults.md"
sys.path.insert(0, str(ROOT / "tests"))

from support.fault_cases import CASES, Came, FaultCase  # noqa: E402 - the tests' own table, found by the line above

_INTRODUCTION = """\
# When a provider fails

What comes of each fault, whole and streamed, through both doors. The tests try every row of this page on a stub
provider that fails on demand (`tests/process/faults/`), and `make docs` writes it from the same table.

- **Outcome** is the attempt's in the decision.
- **Retried**: whether the same model is called again, as far as `resilience.retries` goes; never after the first token.
  "Without a fallback": where another model is left, it is asked instead. Silence has used up the model's time, and an
  answer that cannot be read may be charged for, as may the next.
- **Next model**: whether one of the fallbacks is called after that. What a model refuses because the request itself is
  wrong is not asked of others.
- **gRPC** and **HTTP**: what the app gets where no model is left. A stream that breaks after its first token has had
  its status; its error is the last event.
- **Charged**: `NONE`, the provider answered with an error or was not reached; `COUNTED`, it said what it used;
  `UNKNOWN`, it did not say. Then the decision's `most` has the bound: the input by estimate, and the longest output
  that was allowed. A call that was overtaken by a hedge, or cancelled, is `UNKNOWN` too.
- **Circuit**: whether the outcome counts against the model's circuit breaker.
"""


def reference() -> str:
    """The whole page."""
    return "\n".join([_INTRODUCTION, *_table(), ""])


def _table() -> Iterator[str]:
    yield "| fault | | outcome | retried | next model | gRPC | HTTP | charged | circuit |"
    yield "| --- | --- | --- | --- | --- | --- | --- | --- | --- |"
    for case in CASES.values():
        yield from _rows(case)


def _rows(case: FaultCase) -> Iterator[str]:
    if case.whole == case.streamed:
        yield _row(case.what, "both", case.whole)
    else:
        yield _row(case.what, "whole", case.whole)
        yield _row("", "streamed", case.streamed)


def _row(what: str, form: str, came: Came) -> str:
    grpc = f"{came.grpc} `{came.reason}`" if came.reason else came.grpc
    http = f"{came.http} `{came.code}`" if came.code else str(came.http)
    cells = [
        *(what, form, f"`{came.outcome}`", came.retried.value, "yes" if came.fallback else "no"),
        *(grpc, http, came.charge, "yes" if Outcome[came.outcome] in BAD else "no"),
    ]
    return f"| {' | '.join(cells)} |"


def main() -> None:
    """Write the page, or check it."""
    page = reference()
    if "--check" not in sys.argv[1:]:
        REFERENCE.write_text(page, encoding="utf-8")
    elif not REFERENCE.exists() or REFERENCE.read_text(encoding="utf-8") != page:
        sys.exit(f"{REFERENCE.relative_to(ROOT)} is out of date: run make docs")


if __name__ == "__main__":
    main()
