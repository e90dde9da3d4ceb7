"""Whatever order the news comes in, the world only goes forward, and ends at the truth."""

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pointsman_operator.resources import Key, Kind, MalformedObjectError, Unreadable
from pointsman_operator.world import Change, Shelf, World, differences
from pure.operator.objects import namespace, pod, policy, provider, secret


@dataclass(frozen=True)
class Written:
    """A watch tells of a write."""

    key: Key
    version: int


@dataclass(frozen=True)
class Deleted:
    """A watch tells of a deletion."""

    key: Key
    version: int


@dataclass(frozen=True)
class Listed:
    """A list, with the version of each object and its own."""

    objects: tuple[tuple[Key, int], ...]
    version: int


News = Written | Deleted | Listed


@st.composite
def histories(draw: st.DrawFn) -> tuple[list[News], dict[Key, int]]:
    """What an API server would tell of one history, and the truth at its end."""
    keys = [Key("", name) for name in "abc"]
    there: dict[Key, int] = {}
    news: list[News] = []
    for version in range(1, draw(st.integers(1, 12)) + 1):
        key = draw(st.sampled_from(keys))
        if key in there and draw(st.booleans()):
            del there[key]
            news.append(Deleted(key, version))
        else:
            there[key] = version
            news.append(Written(key, version))
        if draw(st.booleans()):
            news.append(Listed(tuple(there.items()), version))
    return news, there


def told(shelf: Shelf[str], news: News) -> Shelf[str]:
    match news:
        case Written(key, version):
            return shelf.put(key, f"{key}@{version}", version=version)
        case Deleted(key, version):
            return shelf.remove(key, version=version)
        case Listed(objects, version):
            return shelf.relist({key: (f"{key}@{at}", at) for key, at in objects}, version=version)


@given(histories(), st.data())
def test_the_world_ends_at_the_truth_in_whatever_order_and_however_often_it_is_told(
    history: tuple[list[News], dict[Key, int]], data: st.DataObject
) -> None:
    news, truth = history
    repeated = data.draw(st.lists(st.sampled_from(news), max_size=6))

    shelf: Shelf[str] = Shelf()
    for each in data.draw(st.permutations([*news, *repeated])):
        shelf = told(shelf, each)

    assert dict(shelf.objects) == {key: f"{key}@{version}" for key, version in truth.items()}


@given(histories(), st.data())
def test_an_object_never_goes_back(history: tuple[list[News], dict[Key, int]], data: st.DataObject) -> None:
    shelf: Shelf[str] = Shelf()
    newest: dict[Key, int] = {}
    for each in data.draw(st.permutations(history[0])):
        shelf = told(shelf, each)
        for key, version in shelf.versions.items():
            assert version >= newest.get(key, 0)
            newest[key] = version


@given(histories(), st.data())
def test_being_told_twice_is_being_told_once(history: tuple[list[News], dict[Key, int]], data: st.DataObject) -> None:
    shelf: Shelf[str] = Shelf()
    for each in data.draw(st.permutations(history[0])):
        shelf = told(shelf, each)
        assert told(shelf, each) == shelf


@given(histories())
def test_deletions_are_forgotten_once_a_list_confirms_them(history: tuple[list[News], dict[Key, int]]) -> None:
    news, truth = history
    shelf: Shelf[str] = Shelf()
    for each in news:
        shelf = told(shelf, each)

    shelf = told(shelf, Listed(tuple(truth.items()), 100))

    assert not shelf.gone


def ready() -> World:
    world = World()
    for kind in Kind:
        world = world.relist(kind, [], resource_version="1")
    return world


def test_a_world_is_ready_once_each_kind_that_policies_depend_on_was_listed() -> None:
    world = World().relist(Kind.POD, [], resource_version="1")
    for kind in set(Kind) - {Kind.POD}:
        assert not world.ready
        world = world.relist(kind, [], resource_version="1")

    assert world.ready


def test_an_object_that_is_told_of_once_more_makes_no_other_world() -> None:
    known = World().relist(Kind.POD, [pod(version=5)], resource_version="6")

    assert known.observe(Kind.POD, Change.WRITTEN, pod(version=5)) is known


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (Kind.POLICY, policy(version=5)),
        (Kind.PROVIDER, provider(version=5)),
        (Kind.NAMESPACE, namespace(version=5)),
        (Kind.POD, pod(version=5)),
        (Kind.SECRET, secret("openai", version=5, key="sk")),
    ],
)
def test_each_kind_is_observed_and_forgotten(kind: Kind, value: dict[str, object]) -> None:
    written = ready().observe(kind, Change.WRITTEN, value)
    later = {**value, "metadata": {**value["metadata"], "resourceVersion": "6"}}  # type: ignore[dict-item]
    deleted = written.observe(kind, Change.DELETED, later)

    shelves = [
        [*world.policies, *world.providers, *world.namespaces, *world.secrets, *world.pods]
        for world in (written, deleted)
    ]
    assert [len(shelf) for shelf in shelves] == [1, 0]


def test_old_news_returns_the_same_world() -> None:
    world = ready().observe(Kind.POLICY, Change.WRITTEN, policy(version=5))

    assert world.observe(Kind.POLICY, Change.WRITTEN, policy(version=4)) is world
    assert world.observe(Kind.POLICY, Change.DELETED, policy(version=4)) is world


def test_an_unreadable_policy_is_part_of_the_world() -> None:
    world = ready().observe(Kind.POLICY, Change.WRITTEN, policy(version=5, defaultModel=7))

    assert isinstance(world.policies[Key("shop", "support")], Unreadable)


def test_files_need_no_resource_versions() -> None:
    value = policy()
    del value["metadata"]["resourceVersion"]

    world = World().relist(Kind.POLICY, [value], resource_version="1")
    world = world.relist(Kind.POLICY, [], resource_version="2")

    assert not world.policies


def test_a_resource_version_that_is_no_number_is_refused() -> None:
    with pytest.raises(MalformedObjectError, match="soon"):
        ready().relist(Kind.POLICY, [], resource_version="soon")


def test_a_list_that_brings_nothing_new_makes_no_difference() -> None:
    values = [policy(version=5), policy("other", version=6)]
    before = World().relist(Kind.POLICY, values, resource_version="7")
    after = before.relist(Kind.POLICY, values, resource_version="9")

    assert not differences(before, after).policy_objects


def test_a_written_status_is_a_difference_of_the_object_but_not_of_the_policy() -> None:
    before = World().relist(Kind.POLICY, [policy(version=5)], resource_version="5")
    after = before.observe(Kind.POLICY, Change.WRITTEN, {**policy(version=6), "status": {"observedGeneration": 1}})

    difference = differences(before, after)

    assert difference.policy_objects == {Key("shop", "support")}
    assert not difference.policies


def test_a_secret_of_the_same_version_may_hold_more_than_was_kept_of_it() -> None:
    before = World().relist(Kind.SECRET, [secret("openai", version=3)], resource_version="5")
    after = before.relist(Kind.SECRET, [secret("openai", version=3, key="sk")], resource_version="5")

    (kept,) = after.secrets.values()
    assert kept.data == {"key": "sk"}
