"""Messages of one plane as the other reads them."""

from pointsman_operator.ledger import accounts as theirs
from pointsman_operator.ledger import messages as ledger
from pointsman_operator.ledger.accounts import AccountKey
from pointsman_sidecar.quota import messages as mine


def theirs_key(key: mine.AccountKey | AccountKey) -> AccountKey:
    """The ledger's name of an account."""
    return AccountKey(budget=key.budget, unit=key.unit, subject=key.subject, start=key.start, end=key.end)


def to_ledger(call: mine.Call, holder: str) -> ledger.Call:
    """A call as it arrives."""
    return ledger.Call(
        id=call.id,
        holder=holder,
        session=call.session,
        declares=call.declares,
        high=call.high,
        items=tuple(
            ledger.Item(
                key=theirs_key(item.key),
                serial=item.serial,
                said=theirs.Said(returned=item.returned, used=item.used, overrun=item.overrun),
                granted=item.granted,
                created=None
                if item.created is None
                else theirs.Stamp(era=item.created.era, version=item.created.version),
                total=item.total,
                needed=item.needed,
                least=item.least,
                closed=item.closed,
            )
            for item in call.items
        ),
    )


def to_sidecar(reply: ledger.Reply) -> mine.Reply:
    """A reply as it arrives."""
    return mine.Reply(
        id=reply.id,
        session=reply.session,
        now=reply.now,
        report_after=reply.report_after,
        retry_after=reply.retry_after,
        grants_after=reply.grants_after,
        declare=reply.declare,
        verdicts=tuple(
            mine.Verdict(
                serial=verdict.serial,
                state=mine.BlockState[verdict.state.name],
                granted=verdict.granted,
                returned=verdict.returned,
                created=None
                if verdict.created is None
                else mine.Stamp(era=verdict.created.era, version=verdict.created.version),
                short=verdict.short,
                keep=verdict.keep,
                limit=verdict.limit,
                used=verdict.used,
                held=verdict.held,
            )
            for verdict in reply.verdicts
        ),
    )
