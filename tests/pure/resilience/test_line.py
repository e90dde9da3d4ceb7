"""Turns come by priority, then by arrival; who is last of the least goes first."""

from hypothesis import given
from hypothesis import strategies as st

from pointsman_sidecar.resilience.line import Line
from pointsman_sidecar.routing.policy import Priority

_COMERS = st.lists(st.sampled_from(Priority), max_size=40)


@given(comers=_COMERS, most=st.integers(min_value=0, max_value=10))
def test_those_who_stay_are_the_most_urgent_and_the_earliest(comers: list[Priority], most: int) -> None:
    line: Line[tuple[int, Priority]] = Line()
    waiting: list[tuple[int, Priority]] = []
    for number, priority in enumerate(comers):
        shed = line.join((number, priority), priority, most=most)
        waiting.append((number, priority))
        if len(waiting) > most:
            expected = min(waiting, key=lambda each: (each[1], -each[0]))
            waiting.remove(expected)
            assert shed == expected
        else:
            assert shed is None
        assert len(line) == len(waiting)

    turns = [line.next() for _ in waiting]

    assert turns == sorted(waiting, key=lambda each: (-each[1], each[0]))
    assert line.next() is None


@given(comers=_COMERS, which=st.integers(min_value=0, max_value=39))
def test_who_gives_up_is_not_called(comers: list[Priority], which: int) -> None:
    line: Line[int] = Line()
    for number, priority in enumerate(comers):
        line.join(number, priority, most=100)

    line.leave(which)

    turns = [line.next() for _ in range(len(line))]
    assert sorted(turn for turn in turns if turn is not None) == [each for each in range(len(comers)) if each != which]
