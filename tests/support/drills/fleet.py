"""`python -m support.drills.fleet`: several pods' budgets in one process, so that one kill hits them all at once.

Of each sidecar this is the part that spends: its `Purse`, its journal and its `Exchange` with the ledger, over a
connection of its own. Its calls go straight to the provider, for a bound that is known and an answer that is counted.
"""

import argparse
import asyncio
import json
import logging
import random
import sys
import time
from pathlib import Path

import aiohttp
import structlog

from pointsman_api.v1 import control_pb2
from pointsman_sidecar.control.stream import Backoff
from pointsman_sidecar.control.trust import OperatorTls, Trust
from pointsman_sidecar.quota.outcomes import Cause, Charge, Shortage
from pointsman_sidecar.spending.exchange import Exchange
from pointsman_sidecar.spending.journal_file import JournalFile, boot_id
from pointsman_sidecar.spending.purse import Purse
from pointsman_sidecar.telemetry.metrics import Metrics

CALL = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "What is new?"}], "max_tokens": 24}

# From this share of the limit on, one who is told that too little is left believes it.
_NEARLY = 0.8


def purse_in(folder: Path, log: structlog.stdlib.BoundLogger) -> Purse:
    """A pod's purse, with its journal in a folder that outlives the process."""
    folder.mkdir(exist_ok=True)
    began = time.time() - time.monotonic()
    return Purse(
        clock=lambda: began + time.monotonic(),
        incarnation=lambda: f"{random.getrandbits(64):x}",
        boot=boot_id(),
        journal=JournalFile(folder),
        log=log,
    )


async def spend(purse: Purse, http: aiohttp.ClientSession, *, url: str, bound: int) -> str:
    """Call until the ledger says that there is no more: what it was that ended it."""
    while True:
        if not await purse.knows() or not purse.budgets:
            continue
        charges = [Charge(budget, budget.subject or "", bound) for budget in purse.budgets]
        outcome = await purse.reserve(charges, may_wait=True)
        if isinstance(outcome, Shortage):
            if outcome.cause is Cause.EXHAUSTED and outcome.used >= _NEARLY * outcome.limit:
                return outcome.cause.name
            # Nobody answers; or the ledger grants nothing yet, since its store is another server than before.
            await asyncio.sleep(0.05)
            continue
        try:
            async with http.post(f"{url}/chat/completions", json=CALL) as response:
                usage = (await response.json())["usage"]
        except aiohttp.ClientError:
            purse.settle_at_bound(outcome)
            continue
        used = usage["prompt_tokens"] + usage["completion_tokens"]
        purse.settle(outcome, [used] * len(charges))


async def one(pod: str, given: argparse.Namespace, http: aiohttp.ClientSession) -> str:
    """One pod's part, from start to end."""
    log = structlog.stdlib.get_logger(pod=pod)
    purse = purse_in(given.state / pod, log)
    token, claimed = None, None
    if given.ca:
        trust = Trust(given.ca.read_bytes(), folder=None)
        token = OperatorTls(name=given.name, token_file=given.tokens / pod, trust=trust)
    else:
        claimed = control_pb2.ClaimedIdentity(namespace="shop", pod=pod)
    exchange = Exchange(
        operator=given.operator,
        identity=claimed,
        tls=token,
        purse=purse,
        metrics=Metrics(),
        log=log,
        backoff=Backoff(random=random.random),
        clock=time.monotonic,
    )
    async with exchange.closing():
        exchange.start()
        return await spend(purse, http, url=given.provider, bound=given.bound)


async def main() -> None:
    """Have all pods spend all there is."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--operator", required=True)
    parser.add_argument("--provider", required=True)
    parser.add_argument("--state", type=Path, required=True)
    parser.add_argument("--bound", type=int, required=True, help="what is reserved for a call")
    parser.add_argument("--ca", type=Path)
    parser.add_argument("--name", default="localhost")
    parser.add_argument("--tokens", type=Path)
    parser.add_argument("pods", nargs="+")
    given = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    async with aiohttp.ClientSession() as http:
        ended = await asyncio.gather(*(one(pod, given, http) for pod in given.pods))
    sys.stdout.write(json.dumps(dict(zip(given.pods, ended, strict=True))) + "\n")


if __name__ == "__main__":
    asyncio.run(main())
