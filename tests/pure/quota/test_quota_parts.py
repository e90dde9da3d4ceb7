"""The parts of the quota protocol that can be looked at alone: records, journal, amounts, steps, sizes."""

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pointsman_operator.ledger import records, sizing
from pointsman_operator.ledger.accounts import Account, AccountKey, Block, Stamp
from pointsman_sidecar.quota import journal
from pointsman_sidecar.quota.budgets import Budget, Step, Unit, WhenExhausted, Window
from pointsman_sidecar.quota.degrading import Level, degradation, tighter, tightest
from pointsman_sidecar.quota.holdings import Holdings
from pointsman_sidecar.quota.measuring import meter
from pointsman_sidecar.quota.messages import AccountKey as OurKey
from pointsman_sidecar.quota.messages import BlockState, Reply, Verdict
from pointsman_sidecar.quota.messages import Stamp as OurStamp
from pointsman_sidecar.quota.outcomes import Cause, Charge, Reservation, Shortage
from pointsman_sidecar.quota.users import user_subject
from pointsman_sidecar.routing.costs import Usage
from pointsman_sidecar.routing.policy import Price

_COUNTS = st.integers(min_value=0, max_value=2**62)
_TEXT = st.text(max_size=12)
_WINDOW = Window(0, 3_000_000_000)


def _budget(unit: Unit = Unit.TOKENS, *, name: str = "quota/shop/month", limit: int = 1000, **more: object) -> Budget:
    return Budget(name=name, shown="TokenQuota shop/month", unit=unit, limit=limit, windows=(_WINDOW,), **more)  # type: ignore[arg-type]


@given(
    key=st.builds(AccountKey, budget=_TEXT, unit=_TEXT, subject=_TEXT, start=_COUNTS, end=_COUNTS),
    numbers=st.tuples(_COUNTS, _COUNTS, _COUNTS, _COUNTS),
    blocks=st.lists(
        st.builds(
            Block,
            holder=_TEXT,
            serial=_COUNTS,
            created=st.builds(Stamp, era=_COUNTS, version=_COUNTS),
            granted=_COUNTS,
            returned=_COUNTS,
            used=_COUNTS,
            overrun=_COUNTS,
        ),
        max_size=4,
    ),
)
def test_an_account_is_read_as_it_was_written(
    key: AccountKey, numbers: tuple[int, int, int, int], blocks: list[Block]
) -> None:
    version, era, spent, overrun = numbers
    account = Account(
        version=version,
        era=era,
        spent=spent,
        overrun=overrun,
        blocks={(block.holder, block.serial): block for block in blocks},
        forks=(Stamp(era=1, version=2),),
    )

    assert records.decode(records.encode(key, account)) == (key, account)


@pytest.mark.parametrize(
    "stored", [b"", b"{}", b"[2]", b"[2,[],[],[],[]]", b'[1,["a","b","c",0,1],[0,0,-5,0],[],[]]', b"\xff"]
)
def test_what_is_no_account_is_not_read(stored: bytes) -> None:
    with pytest.raises(records.UnreadableRecordError):
        records.decode(stored)


@given(free=_COUNTS, share=_COUNTS, wanted=_COUNTS, needed=_COUNTS, least=_COUNTS)
def test_a_grant_fits_and_is_of_use(free: int, share: int, wanted: int, needed: int, least: int) -> None:
    given_ = sizing.grant(sizing.Wish(wanted=wanted, needed=needed, least=least), free=free, share=share)

    assert 0 <= given_ <= free
    assert given_ <= max(wanted, needed)
    assert given_ == 0 or given_ >= needed


def _journal() -> tuple[list[bytes], OurKey]:
    key = OurKey(budget="b", unit="Tokens", subject="s", start=0, end=60)
    told = {"created": OurStamp(era=0, version=3), "granted": 100, "returned": 0, "overrun": 0, "closing": False}
    return [
        journal.head(incarnation="i", boot="boot", high=4),
        journal.opened(5, key),
        journal.state(5, mark=20, **told),  # type: ignore[arg-type]
        journal.state(5, mark=40, **told),  # type: ignore[arg-type]
    ], key


@given(cut=st.integers(min_value=1))
def test_a_torn_tail_says_what_was_said_before_it(cut: int) -> None:
    written, key = _journal()
    torn = b"".join(written[:-1]) + written[-1][: -1 - cut % (len(written[-1]) - 1)]

    recovered = journal.read(torn, boot="boot")

    assert recovered is not None
    assert (recovered.incarnation, recovered.high) == ("i", 5)
    assert [(block.key, block.used, block.granted) for block in recovered.blocks] == [(key, 20, 100)]


@given(at=st.integers(min_value=0), flip=st.integers(min_value=1, max_value=255))
def test_a_journal_that_is_not_what_was_written_is_not_believed(at: int, flip: int) -> None:
    whole = b"".join(_journal()[0])
    at %= len(whole)
    damaged = whole[:at] + bytes([whole[at] ^ flip]) + whole[at + 1 :]

    assert journal.read(damaged, boot="boot") is None


def test_a_journal_of_another_boot_is_not_believed() -> None:
    assert journal.read(b"".join(_journal()[0]), boot="another") is None


_PRICE = Price(currency="USD", input=Decimal("0.15"), cached_input=Decimal("0.075"), output=Decimal("0.60"))


@pytest.mark.parametrize(
    ("unit", "expected"),
    [
        (Unit.TOKENS, 100 - 31 + 16 + 7),
        (Unit.INPUT_TOKENS, 100 - 31 + 16),
        (Unit.OUTPUT_TOKENS, 7),
        (Unit.REQUESTS, 1),
        (Unit.COST, 17),  # 69 x 0.15 + 31 x 0.075 + 7 x 0.60 = 16.875 millionths
    ],
)
def test_amounts_are_whole_and_rounded_up(unit: Unit, expected: int) -> None:
    usage = Usage(input_tokens=100, cached_input_tokens=31, output_tokens=7)

    assert meter(_budget(unit, cached_input_percent=50, currency="USD"), _PRICE).amount(usage) == expected


@given(
    tokens=st.tuples(st.integers(0, 10**7), st.integers(0, 10**6)),
    used=st.tuples(st.floats(0, 1), st.floats(0, 1), st.floats(0, 1)),
    unit=st.sampled_from(Unit),
)
def test_usage_within_its_bound_never_measures_more(
    tokens: tuple[int, int], used: tuple[float, float, float], unit: Unit
) -> None:
    budget = _budget(unit, cached_input_percent=50)
    inputs, outputs = int(tokens[0] * used[0]), int(tokens[1] * used[1])
    usage = Usage(input_tokens=inputs, output_tokens=outputs, cached_input_tokens=int(inputs * used[2]))

    most = meter(budget, _PRICE).bound(input_tokens=tokens[0], output_tokens=tokens[1])

    assert meter(budget, _PRICE).amount(usage) <= most


def test_the_strictest_of_all_steps_that_are_reached_holds() -> None:
    steps = (Step(at_percent=80, max_output_tokens=256, no_shadow=True), Step(at_percent=95, default_model_only=True))
    one, other = _budget(steps=steps, name="one"), _budget(steps=(Step(at_percent=10, max_output_tokens=64),), name="2")
    levels = [
        Level(budget=one, used=800, limit=1000, resets_at=None),
        Level(budget=other, used=99, limit=1000, resets_at=None),
    ]

    reached = degradation(levels)

    assert (reached.max_output_tokens, reached.default_model_only, reached.no_shadow) == (256, False, True)
    assert reached.budgets == (one,)
    assert tightest(levels) == levels[0]


@given(of=st.lists(st.tuples(st.integers(0, 2**62), st.integers(0, 2**62)), min_size=1, max_size=4))
def test_the_tightest_budget_is_the_one_of_which_the_largest_share_is_used(of: list[tuple[int, int]]) -> None:
    levels = [
        Level(_budget(name=str(number)), used=used, limit=limit, resets_at=None)
        for number, (used, limit) in enumerate(of)
    ]

    def share(level: Level) -> tuple[bool, Fraction]:
        return (level.limit == 0, Fraction(level.used, level.limit or 1) if level.limit else Fraction(0))

    assert tightest(levels) == max(levels, key=share)
    assert tighter(levels[0], levels[-1]) == max((levels[0], levels[-1]), key=share)


def test_a_providers_rate_limit_is_never_the_tightest() -> None:
    full = Level(_budget(when_exhausted=WhenExhausted.NEXT_MODEL), used=1000, limit=1000, resets_at=None)
    own = Level(_budget(name="own"), used=1, limit=1000, resets_at=None)

    assert tightest([full]) is None
    assert tightest([full, own]) == own


def test_a_step_is_reached_by_what_the_ledger_told_and_by_what_was_spent_since() -> None:
    budget = _budget(limit=1000, steps=(Step(at_percent=80, no_shadow=True),))
    holdings = Holdings(incarnation="one", boot="boot", now=1000.0)
    holdings.bind([budget])
    charges = [Charge(budget, "", 300)]

    def reached() -> bool:
        return holdings.reaches_a_step([budget], "", now=1000.0)

    assert not reached()
    _granted(holdings, charges, granted=400, used=500, limit=1000)
    assert not reached()
    reservation = holdings.reserve(charges, now=1000.0)
    assert isinstance(reservation, Reservation)
    assert not reached()
    holdings.settle(reservation, [299], now=1000.0)
    assert not reached()
    second = holdings.reserve([Charge(budget, "", 1)], now=1000.0)
    assert isinstance(second, Reservation)
    holdings.settle(second, [1], now=1000.0)
    assert reached()


def test_all_steps_of_a_budget_of_nothing_are_reached_before_the_ledger_says_a_word() -> None:
    budget = _budget(limit=0, steps=(Step(at_percent=80, no_shadow=True),))
    holdings = Holdings(incarnation="one", boot="boot", now=1000.0)
    holdings.bind([budget])

    assert holdings.reaches_a_step([budget], "", now=1000.0)
    assert not holdings.reaches_a_step([_budget(limit=0)], "", now=1000.0)


def _granted(holdings: Holdings, charges: list[Charge], *, granted: int, used: int, limit: int) -> None:
    """Have these charges asked for, and the ledger grant so much and say how the account stands."""
    assert isinstance(holdings.reserve(charges, now=1000.0), Shortage)
    while (call := holdings.next_call(now=1000.0)) is not None:
        verdicts = tuple(
            Verdict(
                serial=item.serial,
                state=BlockState.OPEN,
                granted=granted,
                created=OurStamp(era=0, version=1),
                limit=limit,
                used=used,
            )
            for item in call.items
        )
        reply = Reply(
            id=call.id,
            session=1,
            now=1000.0,
            report_after=10.0,
            retry_after=1.0,
            declare=not call.session,
            verdicts=() if not call.session else verdicts,
        )
        holdings.hear(reply, now=1000.0)


def test_a_user_is_told_by_a_hash_that_needs_the_key() -> None:
    assert user_subject("ann", key=b"k") == user_subject("ann", key=b"k")
    assert user_subject("ann", key=b"k") != user_subject("ann", key=b"other")
    assert "ann" not in user_subject("ann", key=b"k")


def _answered(
    holdings: Holdings, *, now: float, grant: int | None, used: int | None = None, pause: float = 0.0
) -> None:
    while (call := holdings.next_call(now=now)) is not None:
        holdings.hear(
            Reply(
                id=call.id,
                session=9,
                now=now,
                declare=call.session != 9,
                report_after=10,
                retry_after=1,
                grants_after=pause,
                verdicts=tuple(
                    Verdict(
                        serial=item.serial,
                        state=BlockState.GONE if grant is None else BlockState.OPEN,
                        granted=grant or 0,
                        created=OurStamp(era=0, version=1),
                        short=grant is None,
                        limit=1000,
                        used=used if used is not None else 1000 if grant is None else 0,
                    )
                    for item in call.items
                ),
            ),
            now=now,
        )


def test_a_refusal_names_the_budget_how_much_and_when_it_resets() -> None:
    holdings = Holdings(incarnation="i", boot="b", now=1000.0)
    budget = _budget()
    holdings.bind([budget])
    charges = [Charge(budget, "", 10)]
    _answered(holdings, now=1000.0, grant=None)
    asked = holdings.reserve(charges, now=1000.0)
    _answered(holdings, now=1000.0, grant=None)

    refused = holdings.reserve(charges, now=1000.1)

    assert isinstance(asked, Shortage)
    assert asked.cause is Cause.ASKED
    assert isinstance(refused, Shortage)
    assert (refused.cause, refused.budget, refused.used, refused.limit, refused.resets_at) == (
        Cause.EXHAUSTED,
        budget,
        1000,
        1000,
        _WINDOW.end,
    )


def test_while_the_ledger_is_away_what_is_held_is_spent_and_nobody_waits() -> None:
    holdings = Holdings(incarnation="i", boot="b", now=1000.0)
    budget = _budget()
    holdings.bind([budget])
    _answered(holdings, now=1000.0, grant=30)
    holdings.reserve([Charge(budget, "", 10)], now=1000.0)
    _answered(holdings, now=1000.0, grant=30)
    spent = [holdings.reserve([Charge(budget, "", 10)], now=1001.0) for _ in range(3)]
    holdings.reserve([Charge(budget, "", 10)], now=1001.0)
    call = holdings.next_call(now=1001.0)
    assert call is not None
    holdings.unanswered(call, now=1001.2)

    refused = holdings.reserve([Charge(budget, "", 10)], now=1001.3)

    assert all(isinstance(each, Reservation) for each in spent)
    assert isinstance(refused, Shortage)
    assert refused.cause is Cause.UNANSWERED


@pytest.mark.parametrize(("used", "cause"), [(300, Cause.PAUSED), (995, Cause.EXHAUSTED)])
def test_a_ledger_that_grants_nothing_for_a_while_is_not_a_budget_that_is_used_up(used: int, cause: Cause) -> None:
    holdings = Holdings(incarnation="i", boot="b", now=1000.0)
    budget = _budget()
    holdings.bind([budget])
    charges = [Charge(budget, "", 10)]
    holdings.reserve(charges, now=1000.0)
    _answered(holdings, now=1000.0, grant=None, used=used, pause=20.0)

    refused = holdings.reserve(charges, now=1000.5)

    assert isinstance(refused, Shortage)
    assert refused.cause is cause
    assert refused.pause == (19.5 if cause is Cause.PAUSED else 0.0)
    holdings.reserve(charges, now=1020.0)
    _answered(holdings, now=1020.0, grant=30)
    assert isinstance(holdings.reserve(charges, now=1020.0), Reservation)


def test_no_more_subjects_are_kept_than_there_is_room_for() -> None:
    holdings = Holdings(incarnation="i", boot="b", now=1000.0, tabs=100)
    budget = _budget(subject=None)
    holdings.bind([budget])
    _answered(holdings, now=1000.0, grant=10)
    for user in range(1000):
        for _ in range(2):
            holdings.reserve([Charge(budget, f"u{user}", 10)], now=1000.0)
            _answered(holdings, now=1000.0, grant=10)

    outcome = holdings.reserve([Charge(budget, "one more", 10)], now=1000.0)

    assert isinstance(outcome, Shortage)
    assert outcome.cause is Cause.CROWDED
    assert len(holdings._desk.tabs) == 100
