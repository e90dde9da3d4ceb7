"""A program that asks the webhook at a steady rate, whether or not it answers in time, as the API server would."""

import argparse
import asyncio
import json
import ssl
import sys
import time
from pathlib import Path

import aiohttp

from scale.objects import review

_ANSWERS_WITHIN = 10.0


async def main() -> None:
    """Ask, and print how long each answer took after it was due, in milliseconds."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--url", required=True)
    parser.add_argument("--ca", type=Path, required=True)
    parser.add_argument("--rate", type=int, required=True)
    parser.add_argument("--seconds", type=int, required=True)
    given = parser.parse_args()
    trust = ssl.create_default_context(cafile=str(given.ca))
    took: list[float] = []

    async def ask(session: aiohttp.ClientSession, number: int, due: float) -> None:
        async with session.post(given.url, data=review(f"review-{number}")) as response:
            answer = await response.json()
        if not answer["response"]["allowed"] or "patch" not in answer["response"]:
            raise RuntimeError(f"the webhook did not inject: {answer}")
        # From when it was due and not from when it was sent: a late start is waiting too.
        took.append((time.monotonic() - due) * 1000)

    connector = aiohttp.TCPConnector(ssl=trust, limit=64)
    timeout = aiohttp.ClientTimeout(total=_ANSWERS_WITHIN)
    async with aiohttp.ClientSession(connector=connector, timeout=timeout) as session, asyncio.TaskGroup() as tasks:
        start = time.monotonic()
        for number in range(given.rate * given.seconds):
            due = start + number / given.rate
            if (wait := due - time.monotonic()) > 0:
                await asyncio.sleep(wait)
            tasks.create_task(ask(session, number, due))
    sys.stdout.write(json.dumps(took))


if __name__ == "__main__":
    asyncio.run(main())
