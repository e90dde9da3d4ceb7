"""The bench of requests writes its own part of the page, and nothing else of it."""

from pathlib import Path

import pytest

from speed.report import MarksError, with_part

PAGE = Path(__file__).resolve().parents[3] / "docs" / "performance.md"
BEGIN, END = "<!-- requests: written by make bench, not by hand -->", "<!-- end of requests -->"


def test_the_rest_of_the_page_stays() -> None:
    page = PAGE.read_text(encoding="utf-8")
    before, after = page[: page.index(BEGIN)], page[page.index(END) :]

    written = with_part(page, "New numbers.\n")

    assert written == f"{before}{BEGIN}\n\nNew numbers.\n\n{after}"
    assert "## The operator" in after
    assert with_part(written, "New numbers.\n") == written


@pytest.mark.parametrize("page", ["", BEGIN + "\n", END + "\n", f"{END}\n{BEGIN}\n"])
def test_a_page_without_the_marks_is_left_alone(page: str) -> None:
    with pytest.raises(MarksError, match="put both lines back"):
        with_part(page, "New numbers.\n")
