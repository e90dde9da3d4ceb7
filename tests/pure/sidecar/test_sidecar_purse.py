"""The journal of what is held: where it can be written, where it cannot, and who goes on with it."""

import asyncio
from pathlib import Path

import structlog

from pointsman_sidecar.quota.budgets import Budget, Unit, Window
from pointsman_sidecar.quota.messages import BlockState, Reply, Stamp, Verdict
from pointsman_sidecar.quota.outcomes import Cause, Charge, Reservation, Shortage
from pointsman_sidecar.spending.journal_file import JournalFile
from pointsman_sidecar.spending.purse import Purse

BUDGET = Budget(
    name="shop/month", shown="TokenQuota shop/month", unit=Unit.TOKENS, limit=1_000, windows=(Window(0, 10_000),)
)
CHARGE = [Charge(BUDGET, "", 100)]


def opened(folder: Path | None, *, name: str = "one", boot: str = "boot") -> Purse:
    """A purse at the time 1,000."""
    purse = Purse(
        clock=lambda: 1_000.0,
        incarnation=lambda: name,
        boot=boot,
        journal=None if folder is None else JournalFile(folder),
        log=structlog.stdlib.get_logger(),
    )
    purse.bind([BUDGET], user_key=b"key")
    return purse


def grant(purse: Purse, amount: int) -> None:
    """Have the ledger grant so much to whatever is asked for."""
    while (call := purse.next_call()) is not None:
        purse.hear(
            Reply(
                id=call.id,
                session=1,
                now=1_000.0,
                report_after=10.0,
                retry_after=1.0,
                declare=not call.session,
                verdicts=tuple(
                    Verdict(
                        serial=item.serial,
                        state=BlockState.OPEN,
                        granted=amount,
                        created=Stamp(era=0, version=1),
                        limit=1_000,
                    )
                    for item in call.items
                ),
            )
        )


async def reserved(purse: Purse) -> Reservation:
    """A reservation, once the ledger has granted for it."""
    waiting = asyncio.create_task(purse.reserve(CHARGE, may_wait=True))
    await purse.due.wait()
    await asyncio.sleep(0)
    grant(purse, 500)
    outcome = await waiting
    assert isinstance(outcome, Reservation)
    return outcome


async def test_the_next_process_of_the_pod_goes_on_with_what_was_held(tmp_path: Path) -> None:
    purse = opened(tmp_path)
    purse.settle(await reserved(purse), [60])

    after = opened(tmp_path, name="two")

    assert after.incarnation == "one"
    assert not after.holds_nothing
    assert isinstance(await after.reserve(CHARGE, may_wait=False), Reservation)


async def test_after_the_machine_has_restarted_the_journal_is_not_believed(tmp_path: Path) -> None:
    purse = opened(tmp_path)
    await reserved(purse)

    after = opened(tmp_path, name="two", boot="another")

    assert after.incarnation == "two"
    assert after.holds_nothing


async def test_a_journal_that_cannot_be_written_is_removed_and_the_sidecar_goes_on(tmp_path: Path) -> None:
    purse = opened(tmp_path)
    # What replaces a journal is written beside it first.
    (tmp_path / "quota.new").mkdir()
    before = opened(tmp_path, name="two")

    assert before.incarnation == "two", "a journal that cannot be gone on with is not believed"
    assert not (tmp_path / "quota.journal").exists()
    assert isinstance(await reserved(before), Reservation)
    assert purse.incarnation == "one"


async def test_without_a_folder_there_is_no_journal() -> None:
    assert isinstance(await reserved(opened(None)), Reservation)


async def test_who_may_not_wait_is_told_at_once_that_the_ledger_is_asked() -> None:
    outcome = await opened(None).reserve(CHARGE, may_wait=False)

    assert isinstance(outcome, Shortage)
    assert outcome.cause is Cause.ASKED


async def test_who_waits_hears_at_once_that_nobody_answers() -> None:
    purse = opened(None)
    waiting = asyncio.create_task(purse.reserve(CHARGE, may_wait=True))
    await purse.due.wait()
    await asyncio.sleep(0)
    assert purse.next_call() is not None
    purse.unanswered()

    outcome = await waiting

    assert isinstance(outcome, Shortage)
    assert outcome.cause is Cause.UNANSWERED


async def test_users_have_the_same_name_on_every_sidecar_and_not_their_own() -> None:
    assert opened(None).subject_of("ada") == opened(None).subject_of("ada")
    assert "ada" not in opened(None).subject_of("ada")
    assert opened(None).subject_of("ada") != opened(None).subject_of("")
