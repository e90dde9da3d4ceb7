"""A ledger of budgets for one test: the operator's own core and reading of calls, in memory, over real gRPC."""

import asyncio
import time
from collections.abc import AsyncIterator
from itertools import count

import grpc

from pointsman_api.v1 import quota_pb2, quota_pb2_grpc
from pointsman_operator.ledger.answering import Moment, Presence, Terms, answer
from pointsman_operator.ledger.books import Books
from pointsman_operator.ledger.windows import Window
from pointsman_operator.quotas.wire import read_call, reply_message

NAMESPACE = "shop"
USER_KEY = b"the key of these tests"
_UNITS = {
    quota_pb2.BUDGET_UNIT_TOKENS: "Tokens",
    quota_pb2.BUDGET_UNIT_OUTPUT_TOKENS: "OutputTokens",
    quota_pb2.BUDGET_UNIT_REQUESTS: "Requests",
}
_Context = grpc.aio.ServicerContext[quota_pb2.ExchangeRequest, quota_pb2.ExchangeResponse]


def budget(
    name: str = "month",
    *,
    limit: int,
    unit: quota_pb2.BudgetUnit.ValueType = quota_pb2.BUDGET_UNIT_TOKENS,
    of_each_user: bool = False,
    models: tuple[str, ...] = (),
    steps: tuple[quota_pb2.BudgetStep, ...] = (),
    when_exhausted: quota_pb2.WhenExhausted.ValueType = quota_pb2.WHEN_EXHAUSTED_REFUSE,
    escalations_only: bool = False,
) -> quota_pb2.Budget:
    """The budget of TokenQuota shop/<name>, in a window of the hours around now. `models` are the provider openai's."""
    hour = int(time.time()) // 3600 * 3600
    made = quota_pb2.Budget(
        name=f"TokenQuota/{NAMESPACE}/{name}",
        shown=f"TokenQuota {NAMESPACE}/{name}",
        unit=unit,
        limit=limit,
        models=[quota_pb2.CountedModel(provider="openai", provider_model=each) for each in models],
        cached_input_percent=100,
        steps=steps,
        escalations_only=escalations_only,
        when_exhausted=when_exhausted,
        windows=[quota_pb2.BudgetWindow(start=hour, end=hour + 2 * 3600)],
    )
    if not of_each_user:
        made.subject = ""
    return made


class FakeLedger(quota_pb2_grpc.QuotasServicer):
    """Grants from the budgets that a test gives it.

    While it is `away`, calls are not answered; while it is `silent`, nobody is told of budgets.
    """

    def __init__(self, *budgets: quota_pb2.Budget) -> None:
        self.budgets = list(budgets)
        self.books = Books()
        self.away = False
        self.silent = False
        self.hellos: list[quota_pb2.QuotaHello] = []
        self.calls = 0
        self._presences: dict[str, Presence] = {}
        self._sessions = count(1)
        self._streams: dict[str, asyncio.Queue[quota_pb2.ExchangeResponse]] = {}

    def change(self, *budgets: quota_pb2.Budget) -> None:
        """Have other budgets from now on."""
        self.budgets = list(budgets)
        for stream in self._streams.values():
            stream.put_nowait(self._told())

    def forget_sidecars(self) -> None:
        """Know no more than a replica that takes over: the books alone."""
        self._presences.clear()

    @property
    def used(self) -> int:
        """What is used of all accounts, as far as it was told."""
        return sum(account.used for account in self.books.accounts.values())

    @property
    def held(self) -> int:
        """What sidecars hold of all accounts."""
        return sum(account.held for account in self.books.accounts.values())

    @property
    def subjects(self) -> set[str]:
        """Those of whom there are accounts."""
        return {key.subject for key in self.books.accounts}

    async def Exchange(  # noqa: N802 - gRPC's name
        self,
        requests: AsyncIterator[quota_pb2.ExchangeRequest],
        context: _Context,  # noqa: ARG002 - gRPC's signature
    ) -> AsyncIterator[quota_pb2.ExchangeResponse]:
        """Answer one sidecar."""
        hello = (await anext(requests)).hello
        self.hellos.append(hello)
        holder = f"{hello.claimed_identity.pod}/{hello.incarnation}"
        outgoing = self._streams[holder] = asyncio.Queue()
        if not self.silent:
            outgoing.put_nowait(self._told())
        reading = asyncio.create_task(self._read(requests, holder, outgoing), name="ledger reads")
        try:
            while True:
                yield await outgoing.get()
        finally:
            reading.cancel()
            if self._streams.get(holder) is outgoing:
                del self._streams[holder]

    async def _read(
        self,
        requests: AsyncIterator[quota_pb2.ExchangeRequest],
        holder: str,
        outgoing: "asyncio.Queue[quota_pb2.ExchangeResponse]",
    ) -> None:
        async for request in requests:
            if request.WhichOneof("message") == "call" and not self.away:
                outgoing.put_nowait(quota_pb2.ExchangeResponse(reply=self._answer(request.call, holder)))

    def _told(self) -> quota_pb2.ExchangeResponse:
        return quota_pb2.ExchangeResponse(budgets=quota_pb2.Budgets(budgets=self.budgets, user_key=USER_KEY))

    def _answer(self, call: quota_pb2.QuotaCall, holder: str) -> quota_pb2.QuotaReply:
        self.calls += 1
        said = answer(
            read_call(call, holder=holder, namespace=NAMESPACE),
            presence=self._presences.get(holder),
            books=self.books,
            terms={each.name: _terms(each) for each in self.budgets},
            moment=Moment(now=time.time(), fresh_session=next(self._sessions)),
        )
        for key, account in said.changes.items():
            self.books.put(key, account)
        self._presences[holder] = said.presence
        for other in said.starved_by:
            if other in self._streams:
                self._streams[other].put_nowait(quota_pb2.ExchangeResponse(nudge=quota_pb2.Nudge()))
        return reply_message(said.reply, message="")


def _terms(told: quota_pb2.Budget) -> Terms:
    windows = {(window.start, window.end) for window in told.windows}

    def has_window(window: Window) -> bool:
        return (window.start, window.end) in windows

    return Terms(
        unit=_UNITS[told.unit],
        limit=told.limit,
        has_window=has_window,
        subject=told.subject if told.HasField("subject") else None,
    )
