"""The mapping that worlds are made of is a dict, but for what a change costs."""

from hypothesis import given
from hypothesis import strategies as st

from pointsman_operator.world import PersistentMap


class Crowded(str):
    """A key that lands in the same leaf as many others do."""

    __slots__ = ()

    def __hash__(self) -> int:
        return len(self) << 24


KEYS = st.text("ab", max_size=4) | st.text("ab", max_size=4).map(Crowded)
STEPS = st.lists(st.tuples(KEYS, st.integers(0, 3) | st.none(), st.booleans()), max_size=30)
Model = dict[str, int | None]


def built(steps: list[tuple[str, int | None, bool]]) -> list[tuple[PersistentMap[str, int | None], Model]]:
    """Each mapping on the way, beside the dict that it should be like."""
    mapping: PersistentMap[str, int | None] = PersistentMap()
    model: Model = {}
    made = [(mapping, dict(model))]
    for key, value, put in steps:
        if put:
            mapping, model[key] = mapping.put(key, value), value
        else:
            mapping = mapping.remove(key)
            model.pop(key, None)
        made.append((mapping, dict(model)))
    return made


@given(STEPS)
def test_each_mapping_stays_like_its_dict_whatever_is_made_of_it(steps: list[tuple[str, int | None, bool]]) -> None:
    for mapping, model in built(steps):
        assert dict(mapping) == model
        assert mapping == model
        assert len(mapping) == len(model)
        assert all(key in mapping for key in model)
        assert mapping.get("c", 7) == 7


@given(STEPS, st.data())
def test_what_changed_is_what_a_full_comparison_finds(
    steps: list[tuple[str, int | None, bool]], data: st.DataObject
) -> None:
    made = st.sampled_from(built(steps))
    (before, old), (after, new) = data.draw(made), data.draw(made)

    # Small integers are one object each, so that "the same object" and "equal" are one here.
    expected = {key for key in old.keys() | new.keys() if (key in old, old.get(key)) != (key in new, new.get(key))}
    assert sorted(after.changed(before)) == sorted(expected)


def test_removing_what_is_not_there_makes_no_other_mapping() -> None:
    mapping = PersistentMap[str, int]().put("a", 1)

    assert mapping.remove("b") is mapping
