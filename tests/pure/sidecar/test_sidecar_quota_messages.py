"""What the operator says of budgets, and what the ledger is told, as they travel and as values."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pointsman_api.v1 import quota_pb2
from pointsman_sidecar.contract.quotas import UnreadableQuotaError, call_message, read_budgets, read_reply
from pointsman_sidecar.quota.budgets import Budget, Step, Unit, WhenExhausted, Window
from pointsman_sidecar.quota.messages import AccountKey, BlockState, Call, Item, Stamp

_NUMBERS = st.integers(min_value=0, max_value=2**62)
_STAMPS = st.none() | st.builds(Stamp, era=_NUMBERS, version=_NUMBERS)
_ITEMS = st.builds(
    Item,
    key=st.builds(AccountKey, budget=st.text(), unit=st.text(), subject=st.text(), start=_NUMBERS, end=_NUMBERS),
    serial=_NUMBERS,
    created=_STAMPS,
    granted=_NUMBERS,
    returned=_NUMBERS,
    used=_NUMBERS,
    overrun=_NUMBERS,
    total=_NUMBERS,
    needed=_NUMBERS,
    least=_NUMBERS,
    closed=st.booleans(),
)


def told(**fields: object) -> quota_pb2.Budget:
    """A budget as the operator tells it."""
    made = {
        "name": "shop/month",
        "shown": "TokenQuota shop/month",
        "unit": quota_pb2.BUDGET_UNIT_COST,
        "currency": "EUR",
        "limit": 5_000_000,
        "cached_input_percent": 50,
        "when_exhausted": quota_pb2.WHEN_EXHAUSTED_DEFAULT_MODEL,
    }
    return quota_pb2.Budget(**(made | fields))  # type: ignore[arg-type]


def test_a_budget_is_read_with_all_that_it_says() -> None:
    message = told(
        subject="web",
        models=[quota_pb2.CountedModel(provider="openai", provider_model="gpt-4o")],
        escalations_only=True,
        steps=[quota_pb2.BudgetStep(at_percent=80, max_output_tokens=256), quota_pb2.BudgetStep(at_percent=90)],
        windows=[quota_pb2.BudgetWindow(start=60, end=120)],
    )

    (read,) = read_budgets(quota_pb2.Budgets(budgets=[message]))

    assert read == Budget(
        name="shop/month",
        shown="TokenQuota shop/month",
        unit=Unit.COST,
        currency="EUR",
        limit=5_000_000,
        subject="web",
        models=frozenset({("openai", "gpt-4o")}),
        escalations_only=True,
        cached_input_percent=50,
        steps=(Step(at_percent=80, max_output_tokens=256), Step(at_percent=90)),
        when_exhausted=WhenExhausted.DEFAULT_MODEL,
        windows=(Window(60, 120),),
    )
    assert read.account_unit == "Cost:EUR"


def test_a_budget_of_each_user_is_told_from_one_of_the_namespace_and_no_models_are_all() -> None:
    users, namespace = read_budgets(quota_pb2.Budgets(budgets=[told(), told(subject="")]))

    assert (users.subject, namespace.subject) == (None, "")
    assert users.models is None


@pytest.mark.parametrize("fields", [{"unit": 99}, {"when_exhausted": 99}], ids=["unit", "end"])
def test_what_a_newer_operator_says_is_refused_with_the_budgets_name(fields: dict[str, object]) -> None:
    with pytest.raises(UnreadableQuotaError, match=r"TokenQuota shop/month .* this sidecar does not know \(99\)"):
        read_budgets(quota_pb2.Budgets(budgets=[told(**fields)]))


@given(items=st.lists(_ITEMS, max_size=3))
def test_a_call_travels_whole(items: list[Item]) -> None:
    call = Call(id=3, session=2**64 - 1, declares=True, high=7, items=tuple(items))

    message = quota_pb2.QuotaCall.FromString(call_message(call).SerializeToString())

    assert (message.id, message.session, message.declares, message.high) == (3, 2**64 - 1, True, 7)
    assert [_item(block) for block in message.blocks] == items


def _item(block: quota_pb2.BlockReport) -> Item:
    account = block.account
    return Item(
        key=AccountKey(
            budget=account.budget,
            unit=account.unit,
            subject=account.subject,
            start=account.window.start,
            end=account.window.end,
        ),
        serial=block.serial,
        created=Stamp(era=block.created.era, version=block.created.version) if block.HasField("created") else None,
        granted=block.granted,
        returned=block.returned,
        used=block.used,
        overrun=block.overrun,
        total=block.total,
        needed=block.needed,
        least=block.least,
        closed=block.closed,
    )


def test_a_reply_is_read_and_what_is_not_said_of_a_block_is_not_zero() -> None:
    said = quota_pb2.QuotaReply(
        id=3,
        session=9,
        blocks=[
            quota_pb2.BlockVerdict(
                serial=1,
                state=quota_pb2.BLOCK_STATE_OPEN,
                granted=10,
                created=quota_pb2.AccountStamp(era=0, version=4),
                keep=0,
                limit=0,
            ),
            quota_pb2.BlockVerdict(serial=2, state=quota_pb2.BLOCK_STATE_GONE, short=True),
        ],
    )
    said.now.FromNanoseconds(1_500_000_000)
    said.report_after.FromMilliseconds(2_500)
    said.retry_after.FromSeconds(1)

    reply = read_reply(said)

    assert (reply.id, reply.session, reply.now, reply.report_after, reply.retry_after) == (3, 9, 1.5, 2.5, 1.0)
    first, second = reply.verdicts
    assert (first.state, first.created, first.keep, first.limit) == (BlockState.OPEN, Stamp(era=0, version=4), 0, 0)
    assert (second.state, second.created, second.keep, second.limit) == (BlockState.GONE, None, None, None)
    assert second.short


def test_a_state_that_is_not_known_is_refused() -> None:
    with pytest.raises(UnreadableQuotaError, match="a block is in a state"):
        read_reply(quota_pb2.QuotaReply(blocks=[quota_pb2.BlockVerdict(serial=1)]))
