"""Between `quota.proto` and the values that the sidecar's part of the budgets works with."""

from google.protobuf.duration_pb2 import Duration

from pointsman_api.v1 import quota_pb2
from pointsman_sidecar.quota.budgets import Budget, Step, Unit, WhenExhausted, Window
from pointsman_sidecar.quota.messages import BlockState, Call, Item, Reply, Stamp, Verdict

_UNITS = {
    quota_pb2.BUDGET_UNIT_TOKENS: Unit.TOKENS,
    quota_pb2.BUDGET_UNIT_INPUT_TOKENS: Unit.INPUT_TOKENS,
    quota_pb2.BUDGET_UNIT_OUTPUT_TOKENS: Unit.OUTPUT_TOKENS,
    quota_pb2.BUDGET_UNIT_REQUESTS: Unit.REQUESTS,
    quota_pb2.BUDGET_UNIT_COST: Unit.COST,
}
_ENDS = {
    quota_pb2.WHEN_EXHAUSTED_REFUSE: WhenExhausted.REFUSE,
    quota_pb2.WHEN_EXHAUSTED_DEFAULT_MODEL: WhenExhausted.DEFAULT_MODEL,
    quota_pb2.WHEN_EXHAUSTED_NEXT_MODEL: WhenExhausted.NEXT_MODEL,
}
_STATES = {
    quota_pb2.BLOCK_STATE_OPEN: BlockState.OPEN,
    quota_pb2.BLOCK_STATE_CLOSED: BlockState.CLOSED,
    quota_pb2.BLOCK_STATE_GONE: BlockState.GONE,
}


class UnreadableQuotaError(Exception):
    """The operator said something of budgets that this build does not understand. The text says what."""


def read_budgets(budgets: quota_pb2.Budgets) -> tuple[Budget, ...]:
    """The budgets.

    Raises:
        UnreadableQuotaError: one of them is of a kind that this build does not know.
    """
    return tuple(_budget(each) for each in budgets.budgets)


def _budget(budget: quota_pb2.Budget) -> Budget:
    unit, end = _UNITS.get(budget.unit), _ENDS.get(budget.when_exhausted)
    if unit is None:
        raise UnreadableQuotaError(f"{budget.shown} counts something that this sidecar does not know ({budget.unit})")
    if end is None:
        raise UnreadableQuotaError(
            f"{budget.shown} ends in a way that this sidecar does not know ({budget.when_exhausted})"
        )
    models = frozenset((each.provider, each.provider_model) for each in budget.models)
    return Budget(
        name=budget.name,
        shown=budget.shown,
        unit=unit,
        currency=budget.currency,
        limit=budget.limit,
        subject=budget.subject if budget.HasField("subject") else None,
        models=models or None,
        escalations_only=budget.escalations_only,
        cached_input_percent=budget.cached_input_percent,
        steps=tuple(
            Step(
                at_percent=step.at_percent,
                max_output_tokens=step.max_output_tokens or None,
                default_model_only=step.default_model_only,
                no_shadow=step.no_shadow,
                no_hedging=step.no_hedging,
            )
            for step in budget.steps
        ),
        when_exhausted=end,
        windows=tuple(Window(window.start, window.end) for window in budget.windows),
    )


def call_message(call: Call) -> quota_pb2.QuotaCall:
    """A call as it travels."""
    return quota_pb2.QuotaCall(
        id=call.id,
        session=call.session,
        declares=call.declares,
        high=call.high,
        blocks=[_report(item) for item in call.items],
    )


def _report(item: Item) -> quota_pb2.BlockReport:
    key = item.key
    return quota_pb2.BlockReport(
        account=quota_pb2.AccountRef(
            budget=key.budget,
            unit=key.unit,
            subject=key.subject,
            window=quota_pb2.BudgetWindow(start=key.start, end=key.end),
        ),
        serial=item.serial,
        created=None
        if item.created is None
        else quota_pb2.AccountStamp(era=item.created.era, version=item.created.version),
        granted=item.granted,
        returned=item.returned,
        used=item.used,
        overrun=item.overrun,
        total=item.total,
        needed=item.needed,
        least=item.least,
        closed=item.closed,
    )


def read_reply(reply: quota_pb2.QuotaReply) -> Reply:
    """The ledger's answer.

    Raises:
        UnreadableQuotaError: a block is in a state that this build does not know.
    """
    return Reply(
        id=reply.id,
        session=reply.session,
        declare=reply.declare,
        now=reply.now.seconds + reply.now.nanos / 1e9,
        report_after=_seconds(reply.report_after),
        retry_after=_seconds(reply.retry_after),
        grants_after=_seconds(reply.grants_after),
        verdicts=tuple(_verdict(each) for each in reply.blocks),
    )


def _verdict(verdict: quota_pb2.BlockVerdict) -> Verdict:
    state = _STATES.get(verdict.state)
    if state is None:
        raise UnreadableQuotaError(f"a block is in a state that this sidecar does not know ({verdict.state})")
    return Verdict(
        serial=verdict.serial,
        state=state,
        granted=verdict.granted,
        returned=verdict.returned,
        created=Stamp(era=verdict.created.era, version=verdict.created.version)
        if verdict.HasField("created")
        else None,
        short=verdict.short,
        keep=verdict.keep if verdict.HasField("keep") else None,
        limit=verdict.limit if verdict.HasField("limit") else None,
        used=verdict.used,
        held=verdict.held,
    )


def _seconds(duration: Duration) -> float:
    return duration.seconds + duration.nanos / 1e9
