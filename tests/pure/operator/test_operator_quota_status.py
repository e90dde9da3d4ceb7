"""The status of a quota, when it may be written, and what is announced."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pointsman_operator.compile import check_quota
from pointsman_operator.compile.budgets import Amount
from pointsman_operator.ledger.accounts import Account, AccountKey, Block, Stamp
from pointsman_operator.resources import Unreadable, parse_quota
from pointsman_operator.status import Standing, standings_in
from pointsman_operator.status.amounts import digits, words
from pointsman_operator.status.patches import merge_patch
from pointsman_operator.status.quota_events import announcements, event
from pointsman_operator.status.quotas import (
    LedgerState,
    QuotaView,
    current_window,
    is_urgent,
    may_write_at,
    quota_status,
    unreadable_status,
)
from pure.operator.objects import Json, counted, offered, provider, quota, read_providers, read_quota

NOW = datetime(2026, 3, 1, 10, tzinfo=UTC)
STEPS = [{"atPercent": 80, "maxOutputTokens": 256}, {"atPercent": 95, "only": "DefaultModel"}]
EUROS = offered("mistral", price={"currency": "EUR", "input": "1", "output": "2"})


def spent(used: int, held: int = 0, *, subject: str = "", short: bool = False) -> Standing:
    return Standing(subject=subject, used=used, held=held, short=short)


def status(
    *standings: Standing,
    before: Mapping[str, Any] | None = None,
    now: datetime = NOW,
    ledger: LedgerState | None = None,
    **spec: Any,
) -> Json:
    parsed = read_quota(quota(**{"steps": STEPS, **spec}))
    providers = read_providers(provider(), provider("eu", models=[EUROS]))
    view = QuotaView(
        quota=parsed,
        problems=check_quota(parsed, providers=providers, policies=()),
        window=current_window(parsed, now),
        standings=standings,
        ledger=ledger or LedgerState(),
    )
    return quota_status(view, before=before or {}, now=now)


def condition(value: Mapping[str, Any], type_: str) -> tuple[str, str, str]:
    (found,) = [each for each in value["conditions"] if each["type"] == type_]
    return found["status"], found["reason"], found["message"]


def reasons(before: Mapping[str, Any], after: Mapping[str, Any], **spec: Any) -> list[str]:
    parsed = read_quota(quota(**{"steps": STEPS, **spec}))
    window = current_window(parsed, NOW)
    return [each.reason for each in announcements(parsed, window=window, before=before, after=after)]


def test_a_budget_that_nobody_touched_says_so_and_never_changes() -> None:
    idle = status()

    assert (idle["used"], idle["held"], idle["usedPercent"]) == ("0", "0", 0)
    assert idle["display"] == {"used": "0%", "limit": "1000 tokens"}
    assert condition(idle, "Ready") == ("True", "InForce", "It binds the pods that it is for")
    assert condition(idle, "Exhausted")[:2] == ("False", "Available")
    assert "resetsAt" not in idle
    assert status(before=idle, now=datetime(2026, 7, 1, tzinfo=UTC)) == idle


def test_what_is_used_and_held_is_shown_with_the_step_and_the_reset() -> None:
    half = status(spent(850, 60), timeZone="Europe/Berlin")

    assert (half["used"], half["held"], half["usedPercent"], half["step"]) == ("850", "60", 85, 80)
    assert half["display"] == {"used": "85%", "limit": "1000 tokens", "step": "at 80%"}
    assert half["resetsAt"] == "2026-03-02T00:00:00+01:00"


def test_a_ledger_that_cannot_grant_is_said_and_what_was_known_stays() -> None:
    before = status(spent(850, 60))
    trouble = LedgerState(known=False, trouble="Redis at redis:6379 cannot be used: it hides")

    now = status(before=before, ledger=trouble)

    assert condition(now, "Ready") == (
        "False",
        "LedgerUnavailable",
        "Nothing is granted from it, and sidecars spend what they hold: Redis at redis:6379 cannot be used: it hides",
    )
    assert {**now, "conditions": []} == {**before, "conditions": []}
    assert condition(now, "Exhausted") == condition(before, "Exhausted")
    known = status(spent(850, 60), before=now, ledger=LedgerState(trouble="it hides"))
    assert (condition(known, "Ready")[1], known["used"]) == ("LedgerUnavailable", "850")
    assert is_urgent(before, now)
    assert condition(status(spent(850, 60), before=now), "Ready")[:2] == ("True", "InForce")


def test_a_ledger_at_its_end_is_remarked_and_hurries_no_write() -> None:
    before = status(spent(850))
    after = status(spent(850), before=before, ledger=LedgerState(remark="the ledger is at its end"))

    assert condition(after, "Ready") == (
        "True",
        "InForce",
        "It binds the pods that it is for; the ledger is at its end",
    )
    assert not is_urgent(before, after)


@pytest.mark.parametrize(("used", "step"), [(799, None), (800, 80), (949, 80), (950, 95), (5000, 95)])
def test_a_step_is_reached_at_its_share(used: int, step: int | None) -> None:
    assert status(spent(used)).get("step") == step


def test_a_budget_is_exhausted_when_it_is_used_or_too_little_is_left_for_a_request() -> None:
    used = status(spent(1000))
    short = status(spent(990, 10, short=True))

    assert condition(used, "Exhausted") == ("True", "UsedUp", "1000 tokens are used up until 2026-03-02T00:00:00+00:00")
    assert condition(short, "Exhausted")[2].endswith("but for less than a request needs or sidecars hold")
    assert condition(status(spent(990, 10)), "Exhausted")[0] == "False"


def test_a_limit_of_nothing_is_exhausted_at_once() -> None:
    nothing = status(limit={"requests": 0})

    assert condition(nothing, "Exhausted") == (
        "True",
        "NothingToSpend",
        "Its limit is 0 requests: nothing may be spent; raise it",
    )
    assert nothing["usedPercent"] == 100


def test_of_several_budgets_the_fullest_is_shown() -> None:
    web, worker = spent(300, subject="Deployment/web"), spent(1000, subject="CronJob/report")
    shown = status(web, worker, scope="Workload")

    assert (shown["used"], shown["workload"], shown["budgets"], shown["exhausted"]) == ("1000", "CronJob/report", 2, 1)
    assert condition(shown, "Exhausted")[2].endswith("by CronJob/report")


def test_a_user_is_counted_and_never_shown() -> None:
    shown = status(spent(300, subject="8d3f"), spent(1000, subject="77aa"), spent(1000, subject="0b1c"), scope="User")

    assert (shown["budgets"], shown["exhausted"]) == (3, 2)
    assert condition(shown, "Exhausted")[2].endswith("by 2 users")
    assert not any(subject in str(shown) for subject in ("8d3f", "77aa", "0b1c"))


def test_problems_keep_it_from_being_ready_and_its_amounts_stay() -> None:
    shown = status(spent(5), limit={"cost": {"amount": "1.50", "currency": "USD"}})

    assert condition(shown, "Ready")[:2] == ("False", "NotCounted")
    assert condition(shown, "Ready")[2].endswith("The other models are counted")
    assert shown["display"]["limit"] == "1.50 USD"
    assert shown["used"] == "0.000005"


def test_what_holds_of_a_quota_with_a_mistake_is_said() -> None:
    lost = status(timeZone="Europe/Atlantis", selector={"matchLabels": {"app": "-"}})

    assert condition(lost, "Ready")[2].endswith("It binds nobody until then. Its windows are UTC's until then")


def test_what_cannot_be_read_binds_nobody_and_says_nothing_of_amounts() -> None:
    before = status(spent(1000))
    unreadable = parse_quota(quota(window="Week"))
    assert isinstance(unreadable, Unreadable)

    shown = unreadable_status(unreadable, before=before, now=NOW)

    assert condition(shown, "Ready")[1:2] == ("InvalidSpec",)
    assert condition(shown, "Ready")[2].endswith("It binds nobody until then")
    assert [each["type"] for each in shown["conditions"]] == ["Ready"]
    assert merge_patch(before, shown)["used"] is None


def test_standings_are_those_of_the_quotas_own_accounts_in_this_window() -> None:
    parsed = read_quota(quota())
    window = current_window(parsed, NOW)
    block = Block(holder="a", serial=1, created=Stamp(era=0, version=1), granted=40, used=10)
    account = Account(spent=30, blocks={("a", 1): block})

    def key(**other: Any) -> AccountKey:
        own = {"budget": "TokenQuota/shop/month", "unit": "Tokens", "subject": "", "start": window.start}
        return AccountKey(**{**own, "end": window.end, **other})

    others: Sequence[AccountKey] = (
        key(budget="TokenQuota/shop/other"),
        key(unit="Requests"),
        key(start=window.start - 86_400, end=window.start),
    )
    accounts = [(key(), account), *((each, account) for each in others)]

    (standing,) = standings_in(accounts, quota=parsed, window=window, short=frozenset({key()}))

    assert standing == Standing(subject="", used=40, held=30, short=True)


# When it is written.


def test_amounts_wait_and_steps_do_not() -> None:
    before = status(spent(100))

    assert not is_urgent(before, status(spent(790, 5), before=before))
    assert is_urgent(before, status(spent(800), before=before))
    assert is_urgent(before, status(spent(1000), before=before))
    assert is_urgent({}, before)
    assert is_urgent(before, status(spent(100), before=before, timeZone="Europe/Atlantis"))


def test_a_quota_is_written_every_thirty_seconds_at_most_unless_it_is_urgent() -> None:
    assert may_write_at(None, urgent=False) < 0
    assert may_write_at(100.0, urgent=False) == 130.0
    assert may_write_at(100.0, urgent=True) == 102.0


_JSON = st.recursive(
    st.integers() | st.text(max_size=3) | st.lists(st.integers(), max_size=2),
    lambda inner: st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=8,
)
_STATUSES = st.dictionaries(st.sampled_from("abcd"), _JSON, max_size=4)


def applied(there: Any, patch: Any) -> Any:
    """A merge patch applied, as RFC 7386 has it."""
    if not isinstance(patch, dict):
        return patch
    result = dict(there) if isinstance(there, dict) else {}
    for name, value in patch.items():
        if value is None:
            result.pop(name, None)
        else:
            result[name] = applied(result.get(name), value)
    return result


@given(_STATUSES, _STATUSES)
def test_a_patch_makes_of_one_status_the_other(before: Json, wanted: Json) -> None:
    assert applied(before, merge_patch(before, wanted)) == wanted


# What is announced.


def test_each_step_and_the_end_are_announced_once() -> None:
    idle, some, most, over = status(), status(spent(810)), status(spent(960)), status(spent(1000))

    assert reasons(idle, some) == ["Reached80Percent"]
    assert reasons(some, some) == []
    assert reasons(some, most) == ["Reached95Percent"]
    assert reasons(idle, most) == ["Reached80Percent", "Reached95Percent"]
    assert reasons(most, over) == ["Exhausted"]
    assert reasons(over, status(spent(1001), before=over)) == []
    assert reasons(over, idle) == []


def test_the_next_windows_steps_are_announced_too() -> None:
    yesterday = {**status(spent(1000)), "resetsAt": "2026-03-01T00:00:00+00:00"}

    assert reasons(yesterday, status(spent(1000))) == ["Reached80Percent", "Reached95Percent", "Exhausted"]


def test_nothing_to_spend_is_announced_once_and_not_each_day() -> None:
    nothing = status(limit={"tokens": 0}, steps=[])

    assert reasons({}, nothing, limit={"tokens": 0}, steps=[]) == ["Exhausted"]
    assert reasons(nothing, nothing, limit={"tokens": 0}, steps=[]) == []


def test_an_event_says_what_happens_and_until_when() -> None:
    parsed = read_quota(quota(steps=[{**STEPS[0], "only": "DefaultModel", "disable": ["Hedging"]}], models=[counted()]))
    window = current_window(parsed, NOW)
    (said,) = announcements(parsed, window=window, before={}, after=status(spent(850)))

    value = event(said, quota=parsed, window=window, instance="pointsman-0", now=NOW)

    assert value["note"] == (
        "80 % of 1000 tokens are used: until 2026-03-02T00:00:00+00:00 answers are capped at 256 tokens, "
        "the default model alone answers, no call is hedged"
    )
    assert (value["type"], value["reason"], value["action"]) == ("Warning", "Reached80Percent", "Degrade")
    assert value["regarding"]["uid"] == "uid-of-shop-month"
    assert value["metadata"]["namespace"] == "shop"
    assert value["eventTime"] == "2026-03-01T10:00:00.000000Z"


def test_the_same_news_has_the_same_name_within_its_hour_and_another_the_next() -> None:
    parsed = read_quota(quota(window="Minute"))
    (said,) = announcements(parsed, window=current_window(parsed, NOW), before={}, after=status(spent(1000)))

    def name(hour: int, minute: int) -> str:
        then = NOW.replace(hour=hour, minute=minute)
        value = event(said, quota=parsed, window=current_window(parsed, then), instance="a", now=then)
        named: str = value["metadata"]["name"]
        return named

    assert name(10, 0) == name(10, 59) != name(11, 0)


def test_a_long_name_leaves_room_for_what_tells_events_apart() -> None:
    parsed = read_quota(quota("a" * 253))
    (said,) = announcements(parsed, window=current_window(parsed, NOW), before={}, after=status(spent(1000)))

    value = event(said, quota=parsed, window=current_window(parsed, NOW), instance="a", now=NOW)

    assert len(value["metadata"]["name"]) == 253


@pytest.mark.parametrize(
    ("micros", "expected"),
    [
        (0, "0.00 USD"),
        (50_000_000, "50.00 USD"),
        (12_345_678, "12.345678 USD"),
        (1_500_000_000_000_000, "1500000000.00 USD"),
        (100, "0.0001 USD"),
    ],
)
def test_money_has_as_many_places_as_it_needs_and_two_at_least(micros: int, expected: str) -> None:
    assert words(micros, Amount(unit="Cost", value=0, currency="USD")) == expected


def test_numbers_are_written_in_full() -> None:
    assert digits(2**53 - 1, Amount(unit="Tokens", value=0)) == "9007199254740991"
