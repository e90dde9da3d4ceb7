"""The table of what can be known in a stream is complete, and the docs have the same."""

from pathlib import Path

from pointsman_sidecar.confidence.streaming import TABLE, After, Holding, Sight, is_possible

DOCS = Path(__file__).parents[3] / "docs" / "confidence.md"


def test_every_pair_is_in_it() -> None:
    assert set(TABLE) == {(after, holding) for after in After for holding in Holding}


def test_more_held_back_is_never_seen_less() -> None:
    order = [Sight.IMPOSSIBLE, Sight.IF_SHORT, Sight.PART, Sight.WHOLE]
    for after in After:
        ranks = [order.index(TABLE[after, holding]) for holding in Holding if holding is not Holding.OFF]
        assert ranks == sorted(ranks), after


def test_what_needs_the_end_is_refused_of_the_first_tokens() -> None:
    possible = {after for after in After if is_possible(after, Holding.FIRST_TOKENS)}
    assert possible == {After.REFUSAL}
    assert all(is_possible(after, Holding.BUFFER_ALL) for after in After)


def test_the_docs_have_the_table() -> None:
    written = DOCS.read_text(encoding="utf-8")
    for after in After:
        cells = " | ".join(TABLE[after, holding] for holding in Holding)
        assert f"| {after} | {cells} |" in written
