"""Suites asked of both sides, each through a control plane and a sidecar of its own, as `pointsman run` has them."""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from decimal import Decimal
from typing import Any, Final

import aiohttp
import structlog

from pointsman.regression.comparing import Compared, Run
from pointsman.regression.properties import ANSWERED, Answer, Failed, failures
from pointsman.regression.sides import Side
from pointsman.regression.suites import Case
from pointsman.running import Standalone, standing
from pointsman_sidecar.contract.hints import DECISION
from pointsman_sidecar.settings import Address

_ANYWHERE: Final = Address(host="127.0.0.1", port=0)
_OK: Final = 200
# Beyond the time that a policy allows for a whole completion: what takes longer hangs.
_LONGEST_SECONDS: Final = 1_860.0


async def ask(
    cases: Sequence[Case],
    sides: tuple[Side, Side],
    *,
    repeat: int,
    concurrency: int,
    environment: Mapping[str, str],
    asked: Callable[[], None],
    log: structlog.stdlib.BoundLogger,
) -> tuple[Compared, ...]:
    """Ask all cases of both sides, so many at a time. `asked` is called after each answer.

    Both sides are asked in turn, so that what slows the provider for a while slows both.

    Raises:
        SocketError: the two planes cannot meet.
    """
    turns = asyncio.Semaphore(concurrency)
    async with AsyncExitStack() as stack:
        doors = [
            await stack.enter_async_context(standing(_settings(side, environment), world=side.world, log=log))
            for side in sides
        ]
        session = await stack.enter_async_context(
            aiohttp.ClientSession(
                timeout=aiohttp.ClientTimeout(total=_LONGEST_SECONDS),
                # Both doors are on this machine, whatever the proxy for the providers is.
                trust_env=False,
            )
        )

        async def run(case: Case, at: int) -> Run:
            async with turns:
                url = f"http://{doors[at].http_listen}/v1/chat/completions"
                done = await _asked(session, url, case, with_model=not sides[at].model)
            asked()
            return done

        async with asyncio.TaskGroup() as group:
            tasks = [
                [(group.create_task(run(case, 0)), group.create_task(run(case, 1))) for _ in range(repeat)]
                for case in cases
            ]
    return tuple(
        Compared(
            name=case.name,
            baseline=tuple(first.result() for first, _ in runs),
            candidate=tuple(second.result() for _, second in runs),
        )
        for case, runs in zip(cases, tasks, strict=True)
    )


def _settings(side: Side, environment: Mapping[str, str]) -> Standalone:
    return Standalone(
        files=(),
        pod=side.pod,
        listen=_ANYWHERE,
        http_listen=_ANYWHERE,
        status_listen=_ANYWHERE,
        state_folder=None,
        redis=None,
        calibration=None,
        environment=environment,
    )


async def _asked(session: aiohttp.ClientSession, url: str, case: Case, *, with_model: bool) -> Run:
    headers = {**case.headers, DECISION: "body"}
    started = time.perf_counter()
    try:
        async with session.post(url, json={**case.request, "model": "auto"}, headers=headers) as response:
            body = await response.json()
            is_answer = response.status == _OK
    except (aiohttp.ClientError, TimeoutError, ValueError) as error:
        return Run(failed=(Failed(property=ANSWERED, message=f"no answer: {type(error).__name__}"),), seconds=0.0)
    seconds = time.perf_counter() - started
    if not is_answer or not body.get("choices"):
        return Run(failed=(Failed(property=ANSWERED, message=_why(body)),), seconds=seconds)
    decision = body.get("pointsman", {})
    usage, cost = decision.get("usage"), decision.get("cost")
    return Run(
        failed=failures(case, _answer(body, decision), with_model=with_model),
        seconds=seconds,
        tokens=None if usage is None else usage["input_tokens"] + usage["output_tokens"],
        cost=None if cost is None else (Decimal(cost["amount"]), cost["currency"]),
    )


def _why(body: Mapping[str, Any]) -> str:
    """Why there is no answer: the door's own code, and not its sentence, which may repeat a provider's words."""
    error = body.get("error")
    code = error.get("code") or error.get("type") if isinstance(error, dict) else None
    attempts = body.get("pointsman", {}).get("attempts") or []
    outcomes = ", ".join(dict.fromkeys(f"{each['model']} {each['outcome']}" for each in attempts))
    return f"no answer: {code or 'no choices'}{f' ({outcomes})' if outcomes else ''}"


def _answer(body: Mapping[str, Any], decision: Mapping[str, Any]) -> Answer:
    choice = body["choices"][0]
    message = choice.get("message") or {}
    model, text = decision.get("model", ""), message.get("content")
    # The first of them: after it, the model may only have been asked whether it was right.
    attempts = (each for each in decision.get("attempts", ()) if each["model"] == model and not each.get("unused"))
    used: Mapping[str, Any] = next((each for each in attempts if each["outcome"] == "SUCCEEDED"), {})
    usage = used.get("usage")
    return Answer(
        # Half of a surrogate pair is no character.
        text=text.encode(errors="replace").decode() if isinstance(text, str) else "",
        refused=bool(message.get("refusal")),
        finish_reason=choice.get("finish_reason") or "",
        output_tokens=None if usage is None else usage["output_tokens"],
        model=model,
        confidence=used.get("confidence"),
        logprobs=_logprobs(choice.get("logprobs")),
    )


def _logprobs(found: Any) -> list[float] | None:
    content = found.get("content") if isinstance(found, dict) else None
    if not isinstance(content, list):
        return None
    found = [each.get("logprob") for each in content if isinstance(each, dict)]
    return [min(0.0, float(each)) for each in found if isinstance(each, int | float)]
