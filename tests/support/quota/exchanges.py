"""A scripted sidecar on the real stream: what it holds is the sidecar's own code, what goes over the wire is real."""

import asyncio
import contextlib
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Self

import grpc

from pointsman_api.v1 import control_pb2 as control
from pointsman_api.v1 import quota_pb2 as pb
from pointsman_api.v1 import quota_pb2_grpc
from pointsman_sidecar.contract.quotas import call_message, read_budgets, read_reply
from pointsman_sidecar.quota.holdings import Holdings
from pointsman_sidecar.quota.outcomes import Cause, Charge, Reservation, Shortage

SECONDS = 20.0


class EndedError(Exception):
    """The stream has ended."""


@dataclass(eq=False, kw_only=True)
class Sidecar:
    """One process of a pod: what it holds outlives its streams."""

    incarnation: str
    holdings: Holdings
    clock: Callable[[], float] = time.time
    spent: int = 0
    told: list[pb.Budgets] = field(default_factory=list)
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    messages: list[str] = field(default_factory=list)
    streaming: bool = False
    _wake: asyncio.Event = field(default_factory=asyncio.Event)

    @classmethod
    def fresh(cls, incarnation: str) -> Self:
        """One without a journal."""
        return cls(incarnation=incarnation, holdings=Holdings(incarnation=incarnation, boot="boot", now=time.time()))

    async def stream(self, channel: grpc.aio.Channel, *, token: str = "", pod: str = "app-1") -> None:
        """Speak to the ledger over this channel until the stream ends; raise EndedError then."""
        call = quota_pb2_grpc.QuotasStub(channel).Exchange()
        identity = None if token else control.ClaimedIdentity(namespace="shop", pod=pod)
        hello = pb.QuotaHello(contract_version=1, claimed_identity=identity, token=token, incarnation=self.incarnation)
        tasks: list[asyncio.Task[None]] = []
        try:
            await call.write(pb.ExchangeRequest(hello=hello))
            self.streaming = True
            tasks = [asyncio.create_task(self._hear(call)), asyncio.create_task(self._speak(call))]
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            raise EndedError(f"{(await call.code()).name}: {await call.details()}")
        except grpc.aio.AioRpcError as error:
            raise EndedError(f"{error.code().name}: {error.details()}") from error
        finally:
            self.streaming = False
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            call.cancel()

    async def spend(self, amount: int, *, subject: str = "") -> Shortage | None:
        """Make a call that uses so much of each budget that has anything; the shortage where there is not enough."""
        async with asyncio.timeout(SECONDS):
            while True:
                self.changed.clear()
                budgets = [each for each in self.holdings.budgets if each.limit]
                if self.told:
                    charges = [Charge(each, each.subject or subject, amount) for each in budgets]
                    outcome = self.holdings.reserve(charges, now=self.clock())
                    if isinstance(outcome, Reservation):
                        self.holdings.settle(outcome, [amount] * len(budgets), now=self.clock())
                        self.spent += amount
                        self._wake.set()
                        return None
                    if outcome.cause is Cause.EXHAUSTED:
                        return outcome
                    self._wake.set()
                # Whatever is heard may help; and what is not heard is asked again later.
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(0.2):
                        await self.changed.wait()

    async def spend_all(self, amount: int) -> None:
        """Spend until the ledger says that there is no more."""
        shortage = None
        while shortage is None:
            shortage = await self.spend(amount)
            # Others have their turn.
            await asyncio.sleep(0)

    async def settle_all(self) -> None:
        """Give back and settle all that it holds."""
        self.holdings.close_all()
        async with asyncio.timeout(SECONDS):
            while not self.holdings.holds_nothing:
                self.changed.clear()
                self.holdings.close_all()
                self._wake.set()
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(0.2):
                        await self.changed.wait()

    async def until_told(self, expected: Callable[[pb.Budgets], bool]) -> pb.Budgets:
        """Wait until the last budgets that were told are so."""
        async with asyncio.timeout(SECONDS):
            while not (self.told and expected(self.told[-1])):
                self.changed.clear()
                await self.changed.wait()
        return self.told[-1]

    async def _hear(self, call: "grpc.aio.StreamStreamCall[pb.ExchangeRequest, pb.ExchangeResponse]") -> None:
        async for response in call:
            match response.WhichOneof("message"):
                case "budgets":
                    self.told.append(response.budgets)
                    self.holdings.bind(read_budgets(response.budgets))
                case "reply":
                    if response.reply.message:
                        self.messages.append(response.reply.message)
                    self.holdings.hear(read_reply(response.reply), now=self.clock())
                case _:
                    self.holdings.nudge()
            self.changed.set()
            self._wake.set()

    async def _speak(self, call: "grpc.aio.StreamStreamCall[pb.ExchangeRequest, pb.ExchangeResponse]") -> None:
        while True:
            self._wake.clear()
            said = self.holdings.next_call(now=self.clock()) if self.told else None
            self.holdings.drain()
            if said is not None:
                await call.write(pb.ExchangeRequest(call=call_message(said)))
                continue
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(0.1):
                    await self._wake.wait()


async def keep_streaming(
    sidecar: Sidecar, channel: Callable[[], grpc.aio.Channel], *, token: str = "", pod: str = "app-1"
) -> None:
    """Have a sidecar streaming until cancelled: where a stream ends, over another channel, as sidecars do."""
    while True:
        async with channel() as opened:
            with contextlib.suppress(EndedError):
                await sidecar.stream(opened, token=token, pod=pod)
        await asyncio.sleep(0.1)
