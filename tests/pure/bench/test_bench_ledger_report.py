"""What `make bench-ledger` writes: its part of a page, a picture, and where the cluster's own ledger ends."""

from pathlib import Path
from xml.etree import ElementTree as ET

from granting.busy import Point
from granting.charts import picture
from granting.report import where_it_ends, write_docs
from granting.rows import row

_MARKS = "<!-- ledger: written by make bench-ledger, not by hand -->\n{}<!-- end of ledger -->\n"
_FACTS = {
    "command": "make bench-ledger",
    "quick": False,
    "cpus": 2,
    "cpu": "some",
    "kernel": "6",
    "python": "3",
    "load_before": 0.1,
}


def point(busy: int, *, writes: float, ended: bool = False) -> Point:
    """What so many came to."""
    return Point(
        busy=busy,
        writes=writes,
        kib=2 * writes,
        statuses=busy / 30,
        waited_p50=10,
        waited_p99=20,
        refused=0,
        cores={"operator": 0.4, "kube-apiserver": 0.6},
        ended=ended,
    )


def test_the_pages_own_part_is_written_anew_and_the_rest_of_it_stays(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("before\n" + _MARKS.format("\nwhat was\n\n") + "after\n")
    rows = [row("Redis: grants", 2698.4, "1/s"), row("writes", 120.0, "1/s", limit=100.0)]
    points = [point(500, writes=18), point(1500, writes=97, ended=True)]

    for _ in range(2):
        write_docs(page, tmp_path / "ledger.svg", rows=rows, points=points, facts=_FACTS)

    text = page.read_text()
    assert text.startswith("before\n<!-- ledger")
    assert text.endswith("<!-- end of ledger -->\nafter\n")
    assert "what was" not in text
    assert text.count("| Redis: grants | 2698 1/s |  |  |") == 1
    assert "| writes | 120 1/s | 100 1/s | NOT MET |" in text
    assert "| 1,500 | 97.0 | 194 | 50.0 | 10 ms | 20 ms | 0 | yes | 0.40 | 0.60 |" in text
    assert "(ledger.svg)" in text


def test_where_it_ends_is_said_by_what_was_measured() -> None:
    ended = [point(500, writes=18), point(1500, writes=97, ended=True)]

    assert where_it_ends(ended, cpus=2) == (
        "With 1,500 busy sidecars the operator says that its ledger is at its end, with 500 not."
    )
    assert where_it_ends(ended[:1], cpus=2) == (
        "With 500 busy sidecars, the most that were tried, the operator has not said that its ledger is at its end. Of "
        "this machine's 2 CPUs were used: kube-apiserver 0.60, operator 0.40."
    )


def test_the_picture_has_a_bar_for_each_store_and_the_bounds_as_lines() -> None:
    drawn = picture(
        grants={"Memory": 6648.0, "ConfigMaps": 146.6}, points=[point(500, writes=18), point(1500, writes=97)]
    )

    texts = [each.text for each in ET.fromstring(drawn).iter("{http://www.w3.org/2000/svg}text")]  # noqa: S314 - our own
    assert {"Memory", "6,648", "ConfigMaps", "147", "at most 100", "at most 256", "1,500"} <= set(texts)
