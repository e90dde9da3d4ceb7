"""From a plan to its first answer: retries, hedges, fallbacks, each as far as the policy goes."""

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from pointsman_sidecar.completing.failures import limited, no_answer, short
from pointsman_sidecar.completing.paying import Paying, ShortError, short_of
from pointsman_sidecar.completing.racing import ALONE, Gate, race
from pointsman_sidecar.completing.served import Serving
from pointsman_sidecar.contract.decisions import Attempt, decision
from pointsman_sidecar.providers.outcomes import Outcome, ProviderFailure
from pointsman_sidecar.resilience.backoff import backoff, worth_it
from pointsman_sidecar.resilience.health import Health
from pointsman_sidecar.routing.plan import Reason, Skipped, Step, larger

_Result = TypeVar("_Result")
# One call to a model, on record in the attempt that it is given.
Call = Callable[[Attempt, Gate], Coroutine[Any, Any, _Result]]
_Failures = list[tuple[Step, ProviderFailure]]
# Of the time that is left, what a stronger model is not given: the first answer is to be returned within it.
_KEPT_BACK = 0.05


class Trying:
    """Calls models until one answers."""

    def __init__(
        self, *, health: Health, paying: Paying, clock: Callable[[], float], random: Callable[[], float]
    ) -> None:
        self._health = health
        self._paying = paying
        self._clock = clock
        self._random = random

    async def stronger(
        self, serving: Serving[Any, Any], step: Step, call: Call[_Result], *, streams: bool
    ) -> tuple[_Result, Attempt] | str:
        """The answer of a model that is asked in place of one that answered, or a sentence why there is none.

        Raises:
            CompletionError: it stopped in the middle of a stream.
        """
        left = (serving.total.when() or 0.0) - asyncio.get_running_loop().time()
        try:
            async with asyncio.timeout(max(0.0, left * (1 - _KEPT_BACK))) as serving.escalation:
                return await self._repeated(serving, step, call, [], streams=streams, has_fallback=True)
        except ProviderFailure as failure:
            if failure.outcome is Outcome.CUT:
                raise no_answer([(step, failure)], decision=decision(serving.progress)) from failure
            return f"{step.model.name} did not answer ({failure})"
        except ShortError as error:
            return short_of(error.shortage)
        except TimeoutError:
            return f"{step.model.name} did not answer in the time that was left"
        finally:
            serving.escalation = None

    async def answer(
        self, serving: Serving[Any, Any], call: Call[_Result], *, streams: bool
    ) -> tuple[_Result, Attempt]:
        """The first answer, and the attempt that gave it.

        Raises:
            CompletionError: no model gave one, or no budget is left for it.
        """
        progress, failures = serving.progress, _Failures()
        steps = deque(progress.plan.steps)
        stretched = False
        while steps:
            step = steps.popleft()
            if not self._admitted(serving, step, last_hope=not failures and not steps):
                continue
            try:
                result, attempt = await self._repeated(
                    serving, step, call, failures, streams=streams, has_fallback=bool(steps)
                )
            except ProviderFailure as failure:
                if not failure.may_fall_back:
                    break
            except ShortError as error:
                steps = self._after_shortage(serving, step, steps, error)
            else:
                if not attempt.unused:
                    progress.took(attempt)
                return result, attempt
            if not steps and not stretched and all(each.outcome is Outcome.TOO_LARGE for _, each in failures):
                stretched = True
                ejected = self._health.ejected(progress.policy, self._clock())
                steps += larger(progress.policy, serving.features, progress.plan, ejected=ejected)
        raise no_answer(failures, decision=decision(progress))

    def _after_shortage(
        self, serving: Serving[Any, Any], step: Step, rest: deque[Step], error: ShortError
    ) -> deque[Step]:
        """Whom to ask where a budget has nothing left for a model.

        Raises:
            CompletionError: nobody.
        """
        progress = serving.progress
        if step.reason is Reason.COMPLEXITY and rest:
            # To go up was a wish: whoever would have answered otherwise still can.
            progress.passed_over.append(Skipped(model=step.model.name, message=short_of(error.shortage)))
            return rest
        # The budget that stopped it does not count the default model, or the request is refused.
        if not self._paying.turns_to_default(serving, error.shortage):
            raise short(
                error.shortage,
                decision=decision(progress),
                now=self._paying.now(),
                protected=progress.plan.protected,
            ) from error
        return deque(progress.plan.steps)

    def _admitted(self, serving: Serving[Any, Any], step: Step, *, last_hope: bool) -> bool:
        """Whether a model may be called now: its circuit may have opened since the plan was made."""
        progress = serving.progress
        if progress.plan.panic or last_hope or self._health.admits(progress.policy, step.model, self._clock()):
            return True
        progress.passed_over.append(Skipped(model=step.model.name, message="its circuit has opened"))
        return False

    async def _repeated(
        self,
        serving: Serving[Any, Any],
        step: Step,
        call: Call[_Result],
        failures: _Failures,
        *,
        streams: bool,
        has_fallback: bool,
    ) -> tuple[_Result, Attempt]:
        """One model's answer, asked for again as long as that is worth it."""
        retry = 0
        while True:
            limit: Skipped | None = None
            try:
                return await self._once(serving, step, call, retry=retry, streams=streams)
            except ProviderFailure as error:
                failure = error
            except ShortError as error:
                if not error.shortage.budget.is_rate_limit:
                    raise
                failure = limited(error.shortage, now=self._paying.now())
                # No call was made that would be on record.
                limit = Skipped(model=step.model.name, message=str(failure))
            failures.append((step, failure))
            wait = self._wait(serving, step, failure, retry=retry, has_fallback=has_fallback)
            if wait is None:
                if limit is not None:
                    serving.progress.passed_over.append(limit)
                raise failure
            await asyncio.sleep(wait)
            retry += 1

    def _wait(
        self, serving: Serving[Any, Any], step: Step, failure: ProviderFailure, *, retry: int, has_fallback: bool
    ) -> float | None:
        """Seconds until the model is called again; None where it is not."""
        progress = serving.progress
        rule = progress.policy.retries
        if rule is None or retry >= rule.attempts or not failure.may_retry:
            return None
        if has_fallback and failure.others_first:
            return None
        wait = backoff(retry, draw=self._random(), named=failure.retry_after)
        left = (serving.total.when() or 0.0) - asyncio.get_running_loop().time()
        if not worth_it(wait, left=left, has_fallback=has_fallback):
            return None
        now = self._clock()
        if not (progress.plan.panic or self._health.admits(progress.policy, step.model, now)):
            return None
        granted = self._health.may_retry(progress.policy, now)
        serving.observation.retry(step.model, granted=granted)
        return wait if granted else None

    async def _once(
        self, serving: Serving[Any, Any], step: Step, call: Call[_Result], *, retry: int, streams: bool
    ) -> tuple[_Result, Attempt]:
        async def run(gate: Gate, second: bool) -> tuple[_Result, Attempt]:  # noqa: FBT001 - the race's own signature
            attempt = Attempt(step=step, retry=retry, hedge=second)
            return await call(attempt, gate), attempt

        after = self._hedged_after(serving, step, streams=streams)
        if after is None:
            return await run(ALONE, False)
        return await race(run, after=after, may_follow=lambda: self._may_hedge(serving, step))

    def _hedged_after(self, serving: Serving[Any, Any], step: Step, *, streams: bool) -> float | None:
        rule = serving.progress.policy.hedging
        if rule is None or (serving.reached is not None and serving.reached.no_hedging):
            return None
        record = self._health.of(serving.progress.policy, step.model)
        known = record.first_token if streams else record.whole
        return known.quantile(self._clock(), rule.after_percentile)

    def _may_hedge(self, serving: Serving[Any, Any], step: Step) -> bool:
        policy, now = serving.progress.policy, self._clock()
        granted = self._health.admits(policy, step.model, now) and self._health.may_hedge(policy, now)
        serving.observation.hedge(step.model, granted=granted)
        return granted
