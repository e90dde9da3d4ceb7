"""What is made of the counts of a policy's sidecars, without any I/O."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry

from pointsman_api.v1 import control_pb2 as control
from pointsman_api.v1 import tuning_pb2 as pb
from pointsman_operator.push import Counted, Hub, HubMetrics, Peer, Session
from pointsman_operator.resources import Key
from pointsman_operator.tuning import PolicyState, Record, calibrations, states, tallies, thresholds
from pointsman_operator.tuning.calibrations import Labels
from pointsman_operator.tuning.records import UnreadableRecordError, decode, encode
from pointsman_operator.tuning.tallies import Growth, Tallies
from pointsman_operator.tuning.thresholds import BINS, ENOUGH, MEMORY, Scores
from pointsman_sidecar.contract.tunings import tally_of
from pointsman_sidecar.tuning.counting import PolicyCounts
from pure.operator.objects import OPERATOR_NAMESPACE, policy, provider, read_policy, world

UID = "uid-of-shop-support"
SUPPORT = Key("shop", "support")


def tally(bins: list[int], *, high: int = 0, process: str = "p", began: int = 100, uid: str = UID) -> pb.Tally:
    """What a process says that it has counted."""
    complexity = pb.ScoreCounts(bins=bins, high=high)
    return pb.Tally(process=process, began=began, policy_uid=uid, complexity=complexity)


def counted(scores: list[float], share: float) -> Growth:
    """These scores, of which this share was high, as a sidecar counts and says them."""
    counts = PolicyCounts(policy_uid=UID, process="p", began=1)
    for score in scores:
        counts.score(score, is_high=False)
    said = tally_of(counts)
    said.complexity.high = round(len(scores) * share / 100)
    return tallies.growth(pb.Tally(), said)


def evenly(count: int, *, high: int) -> Growth:
    """So many scores, evenly from 0 to 1."""
    return counted([(at + 0.5) / count for at in range(count)], high * 100 / count)


growing = st.lists(st.lists(st.integers(0, 5), max_size=8), min_size=1, max_size=6)


@given(steps=growing, repeats=st.lists(st.integers(1, 3), min_size=6, max_size=6))
def test_each_count_is_new_once_however_often_it_is_said(steps: list[list[int]], repeats: list[int]) -> None:
    heard = Tallies({})
    bins = [0] * 8
    summed = [0] * 8
    for step, repeat in zip(steps, repeats, strict=False):
        bins = [count + (step[at] if at < len(step) else 0) for at, count in enumerate(bins)]
        for _ in range(repeat):
            for at, count in enumerate(heard.hear(tally(bins), now=0).scores):
                summed[at] += count

    assert summed == bins


def test_of_a_process_that_was_counted_before_only_what_follows_is_new() -> None:
    heard = Tallies({UID: 200})

    assert not heard.hear(tally([5], began=150), now=210)
    assert heard.hear(tally([7], began=150), now=220).scores == (2,)
    assert heard.hear(tally([3], began=201, process="younger"), now=220).scores == (3,)
    assert heard.hear(tally([3], began=150, uid="another"), now=220).scores == (3,)


def test_no_more_processes_are_remembered_than_there_is_room_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """And one that was forgotten is not counted twice when it is heard again."""
    monkeypatch.setattr(tallies, "MOST_PROCESSES", 2)
    heard = Tallies({})
    for process in ("a", "b", "c"):
        heard.hear(tally([5], process=process), now=300)

    assert not heard.hear(tally([5], process="a"), now=310)
    assert heard.hear(tally([6], process="a"), now=310).scores == (1,)


@pytest.mark.parametrize("share", [5, 10, 20, 40])
@given(alpha=st.floats(0.3, 6), beta=st.floats(0.3, 6), seed=st.integers(0, 2**32))
@settings(max_examples=10, deadline=None)
def test_the_wanted_share_of_scores_lies_above_the_threshold(share: int, alpha: float, beta: float, seed: int) -> None:
    draw = random.Random(seed)  # noqa: S311 - no secret
    scores = thresholds.taken_in(Scores(), counted([draw.betavariate(alpha, beta) for _ in range(4_000)], share))

    threshold = thresholds.placed(scores, share).threshold

    assert threshold is not None
    later = [draw.betavariate(alpha, beta) for _ in range(4_000)]
    assert abs(sum(score >= threshold for score in later) / 4_000 - share / 100) < 0.035


def test_of_few_scores_no_threshold_is_made() -> None:
    few = thresholds.taken_in(Scores(), Growth(scores=(0, ENOUGH - 1)))

    assert thresholds.placed(few, 10).threshold is None
    assert thresholds.placed(thresholds.taken_in(few, Growth(scores=(2,))), 10).threshold is not None


def test_a_share_that_was_missed_is_made_up_for() -> None:
    scores = thresholds.placed(thresholds.taken_in(Scores(), evenly(2_560, high=256)), 10)
    too_many = thresholds.placed(thresholds.taken_in(scores, evenly(2_560, high=512)), 10)

    assert scores.threshold == pytest.approx(0.9, abs=0.01)
    assert too_many.threshold is not None
    assert too_many.threshold > scores.threshold + 0.015


def test_old_scores_make_way_for_new_ones() -> None:
    low = thresholds.placed(thresholds.taken_in(Scores(), Growth(scores=(MEMORY,))), 10)
    high = (*(0,) * (BINS - 1), 100)
    for _ in range(400):
        low = thresholds.placed(thresholds.taken_in(low, Growth(scores=high)), 10)

    assert low.bins[0] < MEMORY * 0.01
    assert low.total == pytest.approx(MEMORY)


def test_where_many_scores_come_at_a_time_those_of_all_sidecars_count() -> None:
    """Of each placing, some sidecars have spoken only: the last to speak must not be all there is."""
    halves = (20_000, *(0,) * (BINS - 1)), (*(0,) * (BINS - 1), 20_000)
    scores = Scores()
    for turn in range(40):
        scores = thresholds.placed(thresholds.taken_in(scores, Growth(scores=halves[turn % 2], high=2_000)), 10)

    assert scores.total == pytest.approx(200_000)
    assert 0.4 < scores.bins[0] / scores.total < 0.6


def test_what_hardly_moves_is_not_told_again() -> None:
    rule = read_policy(policy(escalation={"model": "flagship", "complexity": {"targetShare": 10}}))
    state = states.taken_in(PolicyState(policy=SUPPORT, uid=UID), evenly(2_560, high=256))
    told = states.retuned(state, rule, now=1_000.0)
    later = states.retuned(states.taken_in(told, evenly(256, high=26)), rule, now=2_000.0)

    assert told.version == 1_000_000
    assert later.version == told.version
    assert states.retuned(told, rule, now=3_000.0) == told


def test_versions_grow_even_where_the_clock_went_back() -> None:
    rule = read_policy(policy(escalation={"model": "flagship", "complexity": {"targetShare": 10}}))
    state = states.taken_in(PolicyState(policy=SUPPORT, uid=UID, version=5_000_000), evenly(2_560, high=256))

    assert states.retuned(state, rule, now=1_000.0).version == 5_000_001


def test_a_policy_that_asks_for_no_share_any_more_is_told_so() -> None:
    asks = read_policy(policy(escalation={"model": "flagship", "complexity": {"targetShare": 10}}))
    state = states.taken_in(PolicyState(policy=SUPPORT, uid=UID), evenly(2_560, high=256))
    told = states.retuned(state, asks, now=1.0)
    after = states.retuned(told, read_policy(policy()), now=2.0)

    assert states.tuning_of(told).complexity_threshold
    assert not states.tuning_of(after).complexity_threshold
    assert after.version > told.version


def test_what_is_kept_is_read_back_and_stays_small() -> None:
    state = states.taken_in(PolicyState(policy=SUPPORT, uid=UID, version=3), evenly(2_560, high=300))
    state = states.taken_in(state, evenly(4_096, high=300))
    text = encode(Record(state=state, at=77))

    back = decode(UID, text)

    assert back.at == 77
    assert back.state.version == 3
    assert back.state.scores.bins == pytest.approx(state.scores.bins, abs=0.05)
    assert len(text) < 2_048


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        '{"namespace":"a","policy":"b","version":1,"at":2,"complexity":{"share":1,"threshold":null,"high":0,"scores":[1]}}',
    ],
)
def test_what_is_no_record_is_not_read(text: str) -> None:
    with pytest.raises(UnreadableRecordError):
        decode(UID, text)


def connected() -> tuple[Hub, Session, list[Counted]]:
    """A hub with a sidecar of policy shop/support, and what is heard of counts."""
    hub = Hub(secrets_namespace=OPERATOR_NAMESPACE, metrics=HubMetrics(CollectorRegistry()))
    hub.update(world(policies=[policy()], providers=[provider()]))
    session = hub.connect(peer=Peer(namespace="shop", pod="app-1", labels={}), hello=control.Hello(contract_version=1))
    heard: list[Counted] = []
    hub.tunings.subscribe(heard.append)
    return hub, session, heard


def test_what_a_sidecar_counts_is_heard_as_its_policys() -> None:
    hub, session, heard = connected()

    hub.tunings.take(session, tally([1]))

    assert heard == [Counted.of(SUPPORT, tally([1]))]


@pytest.mark.parametrize(
    "said",
    [
        pytest.param(tally([1], uid="uid-of-another"), id="another policy"),
        pytest.param(tally([1] * 257), id="more bins than there are"),
        pytest.param(tally([1], process=""), id="nobody"),
        pytest.param(tally([1], process="x" * 65), id="a long name"),
        pytest.param(
            pb.Tally(process="p", policy_uid=UID, labels=[pb.LabelTally(model="mini", right=[1] * 51)]),
            id="more bins of labels than there are",
        ),
        pytest.param(
            pb.Tally(process="p", policy_uid=UID, labels=[pb.LabelTally(model=str(at)) for at in range(65)]),
            id="more models than a policy may have",
        ),
    ],
)
def test_a_sidecar_is_not_believed_about_what_is_not_its_own(said: pb.Tally) -> None:
    hub, session, heard = connected()

    hub.tunings.take(session, said)

    assert not heard
    assert session.counted is None


def labelled(model: str, right: list[int], wrong: list[int]) -> pb.Tally:
    """What a process says of labels."""
    return pb.Tally(
        process="p", began=100, policy_uid=UID, labels=[pb.LabelTally(model=model, right=right, wrong=wrong)]
    )


def test_labels_are_summed_up_and_told_where_there_are_enough_and_worthwhile() -> None:
    heard = Tallies({})
    rule = read_policy(policy())
    state = PolicyState(policy=SUPPORT, uid=UID)

    def told(tally: pb.Tally) -> int:
        nonlocal state
        state = states.retuned(states.taken_in(state, heard.hear(tally, now=0)), rule, now=1.0)
        return sum(sum(each.right) + sum(each.wrong) for each in states.tuning_of(state).labels)

    assert told(labelled("mini", [9], [10])) == 0
    assert told(labelled("mini", [10], [10])) == 20
    assert told(labelled("mini", [11], [10])) == 20
    assert told(labelled("mini", [12, 0, 3], [10])) == 25


def test_labels_are_kept() -> None:
    labels = {"mini": Labels(right=(0, 30), wrong=(5,))}

    back = decode(UID, encode(Record(state=PolicyState(policy=SUPPORT, uid=UID, version=2, labels=labels), at=7)))

    assert back.state.labels == labels
    assert states.tuning_of(back.state).labels[0].model == "mini"


def test_old_labels_make_way_for_new_ones() -> None:
    many = calibrations.taken_in({}, {"mini": Labels(right=(calibrations.MOST,))})
    more = calibrations.taken_in(many, {"mini": Labels(wrong=(0, 10))})

    assert more["mini"] == Labels(right=(calibrations.MOST // 2,), wrong=(0, 5))
