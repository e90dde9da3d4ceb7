"""The demo, as `make demo` runs it: what it prints, that it adds up, and that nothing of it is left behind."""

import os
import re
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

import pytest

DEMO = Path(__file__).parents[3] / "examples" / "demo" / "demo.py"
ENDS_WITHIN = 60.0
LINE = re.compile(
    r"^ *(?P<number>\d+) (?P<source>\S+ \S+) +(?P<how>image|stream|) *→ (?P<model>mini|flagship) +"
    r"(?P<ms>\d+) ms +(?P<cost>\d+\.\d{6}) USD  (?P<why>.+)$",
    re.MULTILINE,
)
ROW = re.compile(
    r"^ *(?P<name>mini|flagship|all) +(?P<calls>\d+) +(?P<share>\d+)% +(?P<cost>\d+\.\d{6}) +"
    r"(?P<per_thousand>\d+\.\d{3}) +(?P<tokens>\d+) +(?P<p50>\d+) ms +(?P<p95>\d+) ms *$",
    re.MULTILINE,
)
SAVING = re.compile(
    r"Cost (?P<cost>\S+) USD; the same tokens all at the flagship's price (?P<flagship>\S+) USD: (?P<saved>\d+)% saved"
)


@dataclass(frozen=True)
class Row:
    """What the table says of a model, or of all."""

    calls: int
    share: int
    cost: Decimal
    per_thousand: Decimal
    tokens: int
    p50: int
    p95: int


@dataclass(frozen=True, kw_only=True)
class Started:
    """A demo that runs, and the mark that all processes which it starts inherit."""

    process: subprocess.Popen[str]
    mark: str

    def family(self) -> dict[int, str]:
        """The command lines of all processes that the demo started, itself among them, wherever they are now."""
        found = {}
        for folder in Path("/proc").iterdir():
            try:
                if folder.name.isdecimal() and self.mark.encode() in (folder / "environ").read_bytes():
                    found[int(folder.name)] = (folder / "cmdline").read_text(encoding="utf-8").replace("\0", " ")
            except OSError:  # it ended meanwhile, or is another user's
                continue
        return found


@contextmanager
def demo() -> Iterator[Started]:
    """The demo with canned answers, in a process group of its own, as a shell would start it."""
    mark = f"started-by={uuid.uuid4()}"
    environment = {key: value for key, value in os.environ.items() if key != "OPENAI_API_KEY"}
    with subprocess.Popen(
        [sys.executable, str(DEMO)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        encoding="utf-8",
        process_group=0,
        env={**environment, "POINTSMAN_TEST": mark, "COLUMNS": "200"},
    ) as process:
        try:
            yield Started(process=process, mark=mark)
        finally:
            process.kill()


@dataclass(frozen=True, kw_only=True)
class Shown:
    """A demo that ended, and what is left of it."""

    code: int
    out: str
    err: str
    left: dict[int, str]

    @property
    def lines(self) -> list[re.Match[str]]:
        """The decisions."""
        return list(LINE.finditer(self.out))

    @property
    def rows(self) -> dict[str, Row]:
        """The table."""
        rows = {}
        for row in ROW.finditer(self.out):
            name, calls, share, cost, per_thousand, tokens, p50, p95 = row.groups()
            rows[name] = Row(
                int(calls), int(share), Decimal(cost), Decimal(per_thousand), int(tokens), int(p50), int(p95)
            )
        return rows


@pytest.fixture(scope="module")
def shown() -> Shown:
    """What one run of it showed."""
    with demo() as started:
        out, err = started.process.communicate(timeout=ENDS_WITHIN)
        return Shown(code=started.process.returncode, out=out, err=err, left=started.family())


def test_it_ends_well_and_leaves_nothing_behind(shown: Shown) -> None:
    assert (shown.code, shown.err, shown.left) == (0, "", {})


def test_it_says_that_its_answers_are_canned(shown: Shown) -> None:
    assert shown.out.splitlines()[0].startswith("Answers are canned, from a stub provider at http://127.0.0.1:")


def test_it_shows_each_decision_as_it_happens(shown: Shown) -> None:
    lines = shown.lines
    assert len(lines) >= 50
    assert [int(line["number"]) for line in lines] == list(range(1, len(lines) + 1))
    assert {line["model"] for line in lines} == {"mini", "flagship"}
    hows = [line["how"] for line in lines]
    assert hows.count("image") == 1
    assert hows.count("stream") >= 3
    assert [Decimal(line["cost"]) for line in lines if Decimal(line["cost"]) <= 0] == []


def test_it_shows_every_way_to_a_model(shown: Shown) -> None:
    reasons = [line["why"] for line in shown.lines]
    for beginning in (
        "no route matched",
        "route risky matched: severity High",
        "route risky matched: metadata domain",
        "route long matched: at least 350 input tokens",
        "route arithmetic-trial matched",
    ):
        assert any(reason.startswith(beginning) for reason in reasons), beginning
    fallbacks = [line for line in shown.lines if line["why"].startswith("it stands in for mini")]
    assert [line["model"] for line in fallbacks] == ["flagship"] * 2


def test_the_table_agrees_with_the_decisions(shown: Shown) -> None:
    assert list(shown.rows) == ["mini", "flagship", "all"]
    for name, row in shown.rows.items():
        lines = [line for line in shown.lines if name in {line["model"], "all"}]
        assert row.calls == len(lines)
        assert row.share == round(100 * len(lines) / len(shown.lines))
        # Each line's cost is rounded to the last digit that is shown.
        assert abs(row.cost - sum(Decimal(line["cost"]) for line in lines)) <= Decimal("0.0000005") * (len(lines) + 1)
        assert abs(row.per_thousand - row.cost / row.calls * 1000) <= Decimal("0.001")
        times = sorted(int(line["ms"]) for line in lines)
        assert row.p50 in times
        assert sum(took <= row.p50 for took in times) >= len(times) * 0.5
        assert sum(took < row.p50 for took in times) <= len(times) * 0.5
        assert sum(took <= row.p95 for took in times) >= len(times) * 0.95
        assert row.p95 in times


def test_the_tables_rows_add_up(shown: Shown) -> None:
    mini, flagship, everything = shown.rows["mini"], shown.rows["flagship"], shown.rows["all"]
    assert mini.calls + flagship.calls == everything.calls
    assert mini.share + flagship.share == everything.share == 100
    assert abs(mini.cost + flagship.cost - everything.cost) <= Decimal("0.000001")
    tokens = (mini.tokens * mini.calls + flagship.tokens * flagship.calls) / everything.calls
    assert abs(tokens - everything.tokens) <= 1
    assert mini.cost / mini.calls < flagship.cost / flagship.calls


def test_the_saving_agrees_with_the_table(shown: Shown) -> None:
    saving = SAVING.search(shown.out)
    assert saving
    cost, flagship = Decimal(saving["cost"]), Decimal(saving["flagship"])
    assert cost == shown.rows["all"].cost
    assert int(saving["saved"]) == round(100 * (1 - cost / flagship))
    assert 20 <= int(saving["saved"]) < 100


def until_printed(started: Started, words: str) -> None:
    """Read what it prints up to these words."""
    assert started.process.stdout is not None
    assert any(words in line for line in started.process.stdout)


def until_all_run(started: Started) -> None:
    """Wait until the demo, the provider and Pointsman are processes."""
    deadline = time.monotonic() + ENDS_WITHIN
    while len(started.family()) < 3:
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.mark.parametrize(
    ("number", "when"),
    [(signal.SIGINT, "Answers are canned"), (signal.SIGINT, "→"), (signal.SIGTERM, "→")],
    ids=["interrupted while it starts", "interrupted while it asks", "terminated"],
)
def test_interrupted_it_takes_everything_with_it_and_says_nothing(number: signal.Signals, when: str) -> None:
    with demo() as started:
        until_printed(started, when)
        until_all_run(started)
        # To the whole group, as a terminal does.
        os.killpg(started.process.pid, number)
        _, err = started.process.communicate(timeout=ENDS_WITHIN)
        assert (started.process.returncode, err, started.family()) == (130, "", {})


def test_without_an_answer_it_ends_with_a_sentence() -> None:
    with demo() as started:
        until_printed(started, "→")
        [provider] = [pid for pid, command in started.family().items() if "pointsman_stub" in command]
        os.kill(provider, signal.SIGKILL)
        _, err = started.process.communicate(timeout=ENDS_WITHIN)
        assert (started.process.returncode, started.family()) == (1, {})
        assert err.startswith("No answer: UNAVAILABLE: ")
        assert err.count("\n") == 1
