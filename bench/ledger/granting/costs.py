"""What budgets cost a request in CPU: the same request with and without them, in turns, in one process."""

import asyncio
import gc
import time
from pathlib import Path
from typing import Any, cast

import structlog

from pointsman_sidecar.completing.paying import Paying
from pointsman_sidecar.completing.served import Serving
from pointsman_sidecar.contract.decisions import Attempt, Progress, decision
from pointsman_sidecar.providers.outcomes import Outcome
from pointsman_sidecar.quota.budgets import Budget, Step, Unit, Window
from pointsman_sidecar.quota.messages import BlockState, Reply, Stamp, Verdict
from pointsman_sidecar.routing.capability import most_usage
from pointsman_sidecar.routing.costs import Usage
from pointsman_sidecar.routing.plan import plan
from pointsman_sidecar.spending.journal_file import JournalFile
from pointsman_sidecar.spending.purse import Purse
from support import policies

_MUCH = 10**14
_USAGE = Usage(input_tokens=120, output_tokens=80)


def budgets(number: int) -> tuple[Budget, ...]:
    """So many budgets of the namespace, of at most three: of tokens with steps, of money, and of calls."""
    now = int(time.time())
    windows = (Window(now - 1000, now + 100_000),)
    steps = (Step(at_percent=80, max_output_tokens=256), Step(at_percent=95, default_model_only=True))
    names = (("month", Unit.TOKENS, "", steps), ("money", Unit.COST, "USD", ()), ("calls", Unit.REQUESTS, "", ()))
    return tuple(
        Budget(
            name=f"TokenQuota/shop/{name}",
            shown=f"TokenQuota shop/{name}",
            unit=unit,
            limit=_MUCH,
            windows=windows,
            currency=currency,
            steps=steps,
        )
        for name, unit, currency, steps in names[:number]
    )


def grant(purse: Purse) -> None:
    """Have all that is asked for granted, and far more."""
    while (call := purse.next_call()) is not None:
        verdicts = tuple(
            Verdict(
                serial=item.serial,
                state=BlockState.OPEN,
                granted=_MUCH // 100,
                created=Stamp(era=0, version=1),
                limit=_MUCH,
            )
            for item in call.items
        )
        purse.hear(
            Reply(
                id=call.id,
                session=1,
                now=purse.clock(),
                report_after=10.0,
                retry_after=1.0,
                declare=not call.session,
                verdicts=verdicts,
            )
        )


class Requests:
    """Requests as far as budgets are concerned: planned, paid for, and decided. With no budgets, the same without."""

    def __init__(self, number: int, *, folder: Path) -> None:
        self.purse: Purse | None = None
        if number:
            folder.mkdir()
            began = time.time() - time.monotonic()
            self.purse = Purse(
                clock=lambda: began + time.monotonic(),
                incarnation=lambda: "one",
                boot="boot",
                journal=JournalFile(folder),
                log=structlog.stdlib.get_logger(),
            )
            self.purse.bind(budgets(number), user_key=b"key")
        self._paying = Paying(self.purse, refused=lambda _, __: None)
        self._policy = policies.policy(policies.model("mini"), policies.model("big"), fallbacks=("big",))
        self._features = policies.features(max_output_tokens=100)
        self._plan = plan(self._policy, self._features, request_id="r")

    async def one(self) -> None:
        """A request."""
        progress = Progress(id="r", policy=self._policy, plan=self._plan)
        nothing = cast("Any", None)
        serving: Serving[Any, Any] = Serving(
            form=nothing,
            features=self._features,
            progress=progress,
            observation=nothing,
            total=nothing,
            hurried=False,
        )
        await self._paying.begin(serving)
        attempt = Attempt(step=progress.plan.steps[0])
        payment = await self._paying.reserve(serving, attempt)
        attempt.most = most_usage(attempt.step.model, self._features, policy_cap=attempt.cap)
        attempt.outcome, attempt.usage = Outcome.SUCCEEDED, _USAGE
        if payment is not None:
            self._paying.settle(payment, attempt)
        progress.attempts.append(attempt)
        progress.took(attempt)
        decision(progress)

    async def warm(self) -> None:
        """Have blocks to spend from."""
        first = asyncio.create_task(self.one())
        while self.purse is not None and not first.done():
            await asyncio.sleep(0)
            grant(self.purse)
        await first
        for _ in range(500):
            await self.one()


async def cpu(*, rounds: int, each: int, folder: Path) -> dict[int, float]:
    """Microseconds of CPU of a request, by how many budgets bind: the least of several rounds, taken in turns."""
    subjects = {number: Requests(number, folder=folder / f"of-{number}") for number in (0, 1, 3)}
    for subject in subjects.values():
        await subject.warm()
    least = dict.fromkeys(subjects, float("inf"))
    for _ in range(rounds):
        for number, subject in subjects.items():
            began = time.process_time()
            for _ in range(each):
                await subject.one()
            least[number] = min(least[number], (time.process_time() - began) / each * 1e6)
    return least


async def latencies(*, requests: int, folder: Path) -> dict[str, list[float]]:
    """Seconds of each request: without budgets, with a held block while the ledger answers, and while it is away."""
    free, answered, away = (Requests(number, folder=folder / f"late-{at}") for at, number in enumerate((0, 1, 1)))
    for subject in (free, answered, away):
        await subject.warm()
    found: dict[str, list[float]] = {"none": [], "answered": [], "away": []}
    # As the sidecar does once it is ready: what there is now need not be looked through for what can go.
    gc.collect()
    gc.freeze()
    turns = [("none", free), ("answered", answered), ("away", away)]
    for at in range(requests):
        if at % 1000 == 0 and answered.purse is not None and away.purse is not None:
            answered.purse.nudge()
            grant(answered.purse)
            away.purse.nudge()
            if away.purse.next_call() is not None:
                away.purse.unanswered()
        # Each comes first as often as the others, so that what recurs hits all alike.
        for name, subject in (*turns[at % 3 :], *turns[: at % 3]):
            began = time.perf_counter()
            await subject.one()
            found[name].append(time.perf_counter() - began)
    return found
