"""The stream to the ledger: opened again for as long as the sidecar lives, whatever breaks it."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import grpc
import structlog

from pointsman_api.v1 import control_pb2, quota_pb2, quota_pb2_grpc
from pointsman_sidecar.contract.quotas import UnreadableQuotaError, call_message, read_budgets, read_reply
from pointsman_sidecar.control.channel import end_if_cancelled, open_channel, reason
from pointsman_sidecar.control.outgoing import drain, renew
from pointsman_sidecar.control.stream import Backoff
from pointsman_sidecar.control.trust import OperatorTls, TokenError
from pointsman_sidecar.spending.purse import Purse
from pointsman_sidecar.telemetry.metrics import Metrics

CONTRACT_VERSION = 1
# A stream that lived this long, in seconds, was a good one.
_GOOD_LIFE = 10.0
# How often an operator that knows no budgets is asked whether it is a newer one by now.
_OLD_OPERATOR_SECONDS = 60.0
# How long a sidecar that stops takes to give back what it holds, at most. After that it lapses as spent.
_GIVING_BACK = 3.0
_Outgoing = asyncio.Queue[quota_pb2.ExchangeRequest | None]


class Exchange:
    """Carries the purse's calls to the ledger and the answers back."""

    def __init__(
        self,
        *,
        operator: str,
        identity: control_pb2.ClaimedIdentity | None,
        tls: OperatorTls | None,
        purse: Purse,
        metrics: Metrics,
        log: structlog.stdlib.BoundLogger,
        backoff: Backoff,
        clock: Callable[[], float],
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._operator = operator
        self._identity = identity
        self._tls = tls
        self._purse = purse
        self._metrics = metrics
        self._log = log
        self._backoff = backoff
        self._clock = clock
        self._sleep = sleep
        self._outgoing: _Outgoing | None = None
        self._empty = asyncio.Event()
        self._tasks: tuple[asyncio.Task[None], ...] = ()
        self._said = ""

    @asynccontextmanager
    async def closing(self) -> AsyncIterator[None]:
        """Once the block is left, what is held goes back, as far as that is quick, and the exchange ends."""
        try:
            yield
            await self._give_back()
        finally:
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    def start(self) -> "tuple[asyncio.Task[None], ...]":
        """Begin. Gives the tasks that do it; none of them ever ends by itself."""
        self._tasks = (
            asyncio.create_task(self._run(), name="quota stream"),
            asyncio.create_task(self._speak(), name="quota calls"),
        )
        return self._tasks

    async def _give_back(self) -> None:
        try:
            async with asyncio.timeout(_GIVING_BACK):
                while self._outgoing is not None and not self._purse.holds_nothing:
                    self._purse.close_all()
                    self._empty.clear()
                    await self._empty.wait()
        except TimeoutError:
            self._log.warning("the ledger did not take back all that is held, which lapses as spent")

    async def _run(self) -> None:
        failures = 0
        while True:
            started = self._clock()
            old = False
            try:
                async with open_channel(self._operator, self._tls) as channel:
                    await self._follow(quota_pb2_grpc.QuotasStub(channel))
                why = "the operator closed the stream"
            except grpc.aio.AioRpcError as error:
                why = reason(error, self._tls)
                if error.code() is grpc.StatusCode.UNIMPLEMENTED:
                    self._purse.bind((), user_key=b"")
                    old = True
            except (TokenError, UnreadableQuotaError) as error:
                why = str(error)
            end_if_cancelled()
            self._lost()
            failures = 1 if self._clock() - started > _GOOD_LIFE else failures + 1
            if old:
                delay = _OLD_OPERATOR_SECONDS * (0.5 + self._backoff.random() / 2)
                self._log.info("no budgets: the operator is of a version that knows none")
            else:
                delay = self._backoff.delay(failures)
                self._log.warning("not connected to the ledger", reason=why, retry_in_seconds=round(delay, 2))
            await self._sleep(delay)

    def _lost(self) -> None:
        self._metrics.quota_connected.set(0)
        self._outgoing = None
        self._empty.set()
        self._purse.unanswered()

    async def _follow(self, stub: "quota_pb2_grpc.QuotasAsyncStub") -> None:
        token = self._tls.token() if self._tls else ""
        outgoing: _Outgoing = asyncio.Queue()
        hello = quota_pb2.QuotaHello(
            contract_version=CONTRACT_VERSION,
            claimed_identity=self._identity,
            token=token,
            incarnation=self._purse.incarnation,
        )
        outgoing.put_nowait(quota_pb2.ExchangeRequest(hello=hello))
        call = stub.Exchange(drain(outgoing))

        def send(fresh: control_pb2.Token) -> None:
            outgoing.put_nowait(quota_pb2.ExchangeRequest(token=fresh))

        renewing = asyncio.create_task(renew(self._tls, token, send=send, log=self._log)) if self._tls else None
        try:
            async for response in call:
                if self._outgoing is None:
                    # Its first word: it is there, and has accepted who this is.
                    self._outgoing = outgoing
                    self._metrics.quota_connected.set(1)
                    self._purse.reachable()
                self._receive(response)
        finally:
            if renewing is not None:
                renewing.cancel()
            call.cancel()
            outgoing.put_nowait(None)

    def _receive(self, response: quota_pb2.ExchangeResponse) -> None:
        match response.WhichOneof("message"):
            case "budgets":
                before = _shown(self._purse)
                self._purse.bind(read_budgets(response.budgets), user_key=response.budgets.user_key)
                if (now := _shown(self._purse)) != before:
                    self._log.info("budgets in force", budgets=now)
            case "reply":
                self._purse.hear(read_reply(response.reply))
                self._empty.set()
                if response.reply.message and response.reply.message != self._said:
                    self._log.warning("the ledger says", message=response.reply.message)
                self._said = response.reply.message
            case "nudge":
                self._purse.nudge()

    async def _speak(self) -> None:
        """Say what there is to say, for as long as the sidecar lives. With nobody there, each call goes unanswered."""
        purse = self._purse
        while True:
            purse.due.clear()
            call = purse.next_call()
            if call is not None and self._outgoing is None:
                purse.unanswered()
            elif call is not None and self._outgoing is not None:
                self._outgoing.put_nowait(quota_pb2.ExchangeRequest(call=call_message(call)))
            wait = purse.speaks_in()
            try:
                async with asyncio.timeout(max(0.0, wait) if wait < float("inf") else None):
                    await purse.due.wait()
            except TimeoutError:
                pass


def _shown(purse: Purse) -> list[str]:
    return sorted(budget.shown for budget in purse.budgets)
