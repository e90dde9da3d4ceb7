"""The main job on one machine: a provider, a control plane and a sidecar from files, and 60 real prompts through them.

Run it with `make demo`. Its answers are canned, unless OPENAI_API_KEY is set: then the real API answers, and is paid.
"""

import asyncio
import json
import math
import os
import re
import signal
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import aiohttp
import grpc
import yaml
from rich.console import Console
from rich.table import Table

from pointsman_api.v1 import completions_pb2, completions_pb2_grpc, decision_pb2, types_pb2

HERE = Path(__file__).resolve().parent
REAL_API = "https://api.openai.com/v1"
KEY = "OPENAI_API_KEY"
STARTS_WITHIN = 30.0
MILLION = Decimal(1_000_000)
INTERRUPTED = 130  # as shells have it
# The stub's cheap model fails these two calls, so that a fallback can be seen.
FAILING_CALLS = (20, 41)

console = Console(highlight=False, soft_wrap=True)


@dataclass(frozen=True, kw_only=True)
class Call:
    """One prompt's way: the decision, and the seconds that the app waited for the whole answer."""

    decision: decision_pb2.Decision
    seconds: float


async def main() -> None:
    """Start everything, send the prompts, print the decisions and the table, stop everything."""
    real = bool(os.environ.get(KEY))
    task = asyncio.current_task()
    assert task is not None  # noqa: S101 - a coroutine runs in one
    for number in (signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="pointsman-demo-")))
        if real:
            provider, environment = REAL_API, dict(os.environ)
            console.print(f"[bold]{KEY} is set: the real API answers, and charges for it.[/bold]")
        else:
            provider = await stack.enter_async_context(stub())
            environment = {**os.environ, KEY: "demo"}
            console.print(
                f"[bold]Answers are canned[/bold], from a stub provider at {provider} (set {KEY} for real ones)."
            )
        for name in ("provider.yaml", "policy.yaml"):
            text = (HERE / name).read_text(encoding="utf-8")
            (folder / name).write_text(text.replace(REAL_API, provider), encoding="utf-8")
        door = await stack.enter_async_context(pointsman(folder, environment=environment))
        console.print(f"Control plane and sidecar run from {HERE.name}/policy.yaml; completions on {door}.\n")
        channel = await stack.enter_async_context(grpc.aio.insecure_channel(door))
        calls = await send_all(completions_pb2_grpc.CompletionsStub(channel), provider=None if real else provider)
    summarize(calls)


async def send_all(door: "completions_pb2_grpc.CompletionsAsyncStub", *, provider: str | None) -> list[Call]:
    """Send every prompt in turn, and print each decision as it comes."""
    prompts = [json.loads(line) for line in (HERE / "prompts.jsonl").read_text(encoding="utf-8").splitlines()]
    calls: list[Call] = []
    for number, prompt in enumerate(prompts, start=1):
        if provider is not None and number in FAILING_CALLS:
            await fail_next_call(provider)
        started = time.perf_counter()
        decision = await send(door, prompt)
        call = Call(decision=decision, seconds=time.perf_counter() - started)
        calls.append(call)
        how = "image " if "image" in prompt else "stream" if prompt.get("stream") else "      "
        console.print(
            f"{number:3} {prompt['source'] + ' ' + prompt['subject']:34} {how} → "
            f"[{'yellow' if decision.model == 'flagship' else 'green'}]{decision.model:8}[/] "
            f"{call.seconds * 1000:5.0f} ms  {Decimal(decision.cost.amount):.6f} {decision.cost.currency}  "
            f"{decision.message}"
        )
    return calls


async def send(door: "completions_pb2_grpc.CompletionsAsyncStub", prompt: dict[str, Any]) -> decision_pb2.Decision:
    """Send one prompt, streamed or at once, and give the decision that came with the answer."""
    content = [completions_pb2.ContentPart(text=prompt["prompt"])]
    if "image" in prompt:
        data = (HERE / prompt["image"]).read_bytes()
        content.append(completions_pb2.ContentPart(image=completions_pb2.ImagePart(data=data, media_type="image/png")))
    request = completions_pb2.CompleteRequest(
        messages=[completions_pb2.Message(role=completions_pb2.ROLE_USER, content=content)],
        hints=completions_pb2.RoutingHints(
            user=prompt["user"],
            severity=types_pb2.Severity.Value(prompt.get("severity", "SEVERITY_UNSPECIFIED")),
            metadata=prompt.get("metadata", {}),
        ),
    )
    if not prompt.get("stream"):
        return (await door.Complete(request)).decision
    decision = decision_pb2.Decision()
    async for event in door.CompleteStream(request):
        if event.WhichOneof("event") == "finished":
            decision = event.finished
    return decision


def summarize(calls: list[Call]) -> None:
    """Print what it cost, against what it would have cost, and how long it took."""
    prices = {
        model["name"]: model["price"]
        for model in yaml.safe_load((HERE / "provider.yaml").read_text(encoding="utf-8"))["spec"]["models"]
    }
    table = Table(box=None)
    table.add_column("MODEL")
    for heading in ("CALLS", "SHARE", "COST USD", "USD/1,000 CALLS", "TOKENS/CALL", "P50", "P95"):
        table.add_column(heading, justify="right", no_wrap=True)
    for model in ("mini", "flagship"):
        add_row(table, model, [call for call in calls if call.decision.model == model], of=len(calls))
    add_row(table, "all", calls, of=len(calls))
    console.print()
    console.print(table)
    cost = sum((Decimal(call.decision.cost.amount) for call in calls), Decimal(0))
    flagship = sum((at_price(call.decision.usage, prices["gpt-4o"]) for call in calls), Decimal(0))
    console.print(
        f"\nCost {cost:.6f} USD; the same tokens all at the flagship's price {flagship:.6f} USD: "
        f"[bold]{1 - cost / flagship:.0%} saved[/bold]."
    )


def add_row(table: Table, name: str, calls: list[Call], *, of: int) -> None:
    """One model's row; nothing where it answered no call."""
    if not calls:
        return
    cost = sum((Decimal(call.decision.cost.amount) for call in calls), Decimal(0))
    tokens = [call.decision.usage.input_tokens + call.decision.usage.output_tokens for call in calls]
    seconds = sorted(call.seconds for call in calls)
    table.add_row(
        name,
        str(len(calls)),
        f"{len(calls) / of:.0%}",
        f"{cost:.6f}",
        f"{cost / len(calls) * 1000:.3f}",
        f"{statistics.mean(tokens):.0f}",
        f"{quantile(seconds, 0.50) * 1000:.0f} ms",
        f"{quantile(seconds, 0.95) * 1000:.0f} ms",
    )


def at_price(usage: decision_pb2.Usage, price: dict[str, str]) -> Decimal:
    """What the tokens would cost at another model's price."""
    fresh = usage.input_tokens - usage.cached_input_tokens
    return (
        fresh * Decimal(price["input"])
        + usage.cached_input_tokens * Decimal(price["cachedInput"])
        + usage.output_tokens * Decimal(price["output"])
    ) / MILLION


def quantile(ordered: list[float], share: float) -> float:
    """The smallest value that this share of the values does not exceed."""
    return ordered[math.ceil(len(ordered) * share) - 1]


@asynccontextmanager
async def stub() -> AsyncIterator[str]:
    """A stub provider, slower where it is bigger; gives its base URL."""
    arguments = ["--port", "0", "--api-key", "demo", "--latency", "gpt-4o-mini=40ms", "--latency", "gpt-4o=120ms"]
    async with process("-m", "pointsman_stub", *arguments, until=r"listening on (http\S+)") as url:
        yield url


@asynccontextmanager
async def pointsman(folder: Path, *, environment: dict[str, str]) -> AsyncIterator[str]:
    """Both planes, from the files in the folder; gives the door's address."""
    listens = [f"--{name}=127.0.0.1:0" for name in ("listen", "http-listen", "status-listen")]
    arguments = [*listens, "--log-level", "ERROR"]
    command = ["-m", "pointsman", "run", "-f", str(folder), "--secret", f"openai/api-key={KEY}", *arguments]
    async with process(*command, until=r"completions on (\S+)", environment=environment) as door:
        yield door


@asynccontextmanager
async def process(*arguments: str, until: str, environment: dict[str, str] | None = None) -> AsyncIterator[str]:
    """A Python process; gives what its output holds in the pattern's group, and ends it on leaving."""
    # In a session of its own, so that an interrupt from the terminal reaches this process only, which ends the others.
    running = await asyncio.create_subprocess_exec(
        sys.executable, *arguments, stdout=asyncio.subprocess.PIPE, env=environment, start_new_session=True
    )
    assert running.stdout is not None  # noqa: S101 - it was asked for above
    try:
        async with asyncio.timeout(STARTS_WITHIN):
            while line := (await running.stdout.readline()).decode():
                if found := re.search(until, line):
                    break
            else:
                sys.exit(f"{' '.join(arguments[:3])} ended before it was ready: its message stands above")
        yield found.group(1)
    finally:
        if running.returncode is None:
            running.terminate()
        await running.wait()


async def fail_next_call(provider: str) -> None:
    """Have the stub answer the cheap model's next call with 503, and the retry of it too."""
    fault = json.dumps([{"model": "gpt-4o-mini", "status": 503, "times": 2}])
    url = provider.removesuffix("/v1") + "/stub/faults"
    async with aiohttp.ClientSession() as session, session.put(url, data=fault) as response:
        response.raise_for_status()


if __name__ == "__main__":
    try:
        asyncio.run(main())
    except (KeyboardInterrupt, asyncio.CancelledError):
        sys.exit(INTERRUPTED)
    except grpc.aio.AioRpcError as error:
        sys.exit(f"No answer: {error.code().name}: {error.details()}")
