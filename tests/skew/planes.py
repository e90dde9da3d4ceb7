"""Both planes: today's as real processes, and those of another version as whoever speaks its contract."""

import asyncio
import base64
import json
import os
import sys
import time
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc

from cluster.harness.processes import Process
from pointsman_operator.schema import definitions, documents, validate
from process.operator.fake_api import NAMESPACES, PODS, POLICIES, PROVIDERS, SECRETS, FakeApi
from process.operator.proofs import channel, make_token, review
from pure.operator.objects import OPERATOR_NAMESPACE, Json, namespace, pod, secret
from skew.contract import PACKAGE, Contract
from support.waiting import until

CONNECT = f"/{PACKAGE}.Control/Connect"
SECONDS = 10.0
KEY = "sk-of-these-tests"


class PlayedSidecar:
    """One stream of a sidecar that knows one contract and no other."""

    def __init__(self, contract: Contract, wire: grpc.aio.Channel) -> None:
        self.contract = contract
        self._call = wire.stream_stream(
            CONNECT,
            request_serializer=lambda message: message.SerializeToString(),
            response_deserializer=lambda data: contract.read("ConnectResponse", data),
        )()

    async def say(self, request: Any) -> None:
        """Send a message."""
        await asyncio.wait_for(self._call.write(request), SECONDS)

    async def next(self) -> Any:
        """The next message, whatever its kind."""
        return await asyncio.wait_for(self._call.read(), SECONDS)

    async def hear(self, kind: str) -> Any:
        """The next message of a kind; those of kinds that this contract does not know are passed over, as promised."""
        while (heard := await asyncio.wait_for(self._call.read(), SECONDS)).WhichOneof("message") != kind:
            assert heard.WhichOneof("message") in {None, "trust", "access"}, heard
        return getattr(heard, kind)


class PlayedOperator:
    """An operator that knows one contract and no other, and says what a test tells it to."""

    def __init__(self, contract: Contract) -> None:
        self.contract = contract
        self._heard: asyncio.Queue[Any] = asyncio.Queue()
        self._to_say: asyncio.Queue[Any] = asyncio.Queue()

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[str]:
        """Serve, in plain text, until the block ends; its address."""
        handler = grpc.stream_stream_rpc_method_handler(
            self._connect,
            request_deserializer=lambda data: self.contract.read("ConnectRequest", data),
            response_serializer=lambda message: message.SerializeToString(),
        )
        server = grpc.aio.server()
        server.add_generic_rpc_handlers(
            (grpc.method_handlers_generic_handler(f"{PACKAGE}.Control", {"Connect": handler}),)
        )
        port = server.add_insecure_port("127.0.0.1:0")
        await server.start()
        try:
            yield f"127.0.0.1:{port}"
        finally:
            await server.stop(0)

    def say(self, **message: Any) -> None:
        """Send one message."""
        self._to_say.put_nowait(self.contract.new("ConnectResponse", **message))

    async def hear(self, kind: str) -> Any:
        """The next message, which must be of this kind."""
        heard = await asyncio.wait_for(self._heard.get(), SECONDS)
        assert heard.WhichOneof("message") == kind, heard
        return getattr(heard, kind)

    async def _connect(self, requests: AsyncIterator[Any], _: Any) -> AsyncIterator[Any]:
        async def listen() -> None:
            async for request in requests:
                self._heard.put_nowait(request)

        listening = asyncio.create_task(listen())
        try:
            while True:
                yield await self._to_say.get()
        finally:
            listening.cancel()


@dataclass(frozen=True, kw_only=True)
class Operator:
    """Today's operator as a process, which wants proof, on the resources of a version."""

    api: FakeApi
    address: str
    token: str

    def another_token(self) -> str:
        """A fresh token of the same pod."""
        token = make_token(expires=time.time() + 3600)
        self.api.tokens[token] = review()
        return token

    def channel(self) -> grpc.aio.Channel:
        """A channel that trusts its CA."""
        ca = base64.b64decode(self.api.objects[SECRETS]["pointsman-ca"]["data"]["ca.crt"])
        return channel(self.address, trusted=ca, name="localhost")

    def status(self) -> Json:
        """The policy's status."""
        found: Json = self.api.objects[POLICIES]["support"].get("status", {})
        return found


@asynccontextmanager
async def todays_operator(
    contract: Contract, folder: Path, *, beside: Iterable[tuple[str, Json]] = ()
) -> AsyncIterator[Operator]:
    """Today's operator, once it is ready. `beside` are objects that its cluster has, too, with where they are."""
    async with FakeApi.running() as api:
        for path, value in (*_resources(contract), *beside):
            api.write(path, value)
        api.write(NAMESPACES, namespace())
        api.write(SECRETS, secret("openai", **{"api-key": KEY}))
        api.write(PODS, pod(labels={"app": "support", "pointsman.dev/injected": "true"}))
        token = make_token(expires=time.time() + 3600)
        api.tokens[token] = review()
        log = folder / "operator.log"
        arguments = ["--listen=127.0.0.1:0", "--metrics-listen=127.0.0.1:0", f"--namespace={OPERATOR_NAMESPACE}"]
        process = Process(
            "pointsman-operator",
            [sys.executable, "-m", "pointsman_operator", f"--kubeconfig={api.kubeconfig(folder)}", *arguments],
            log=log,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        )
        try:
            await until(lambda: '"event": "ready"' in log.read_text(), within=20)
            (ready,) = [json.loads(line) for line in log.read_text().splitlines() if '"event": "ready"' in line]
            yield Operator(api=api, address=ready["listen"], token=token)
        finally:
            await asyncio.to_thread(process.stop)


def _resources(contract: Contract) -> list[tuple[str, Json]]:
    """The resources of a version, as an API server with today's CRDs gives them: today's defaults filled in."""
    file = contract.folder / "resources.yaml"
    paths = {"ModelProvider": PROVIDERS, "ModelRoutingPolicy": POLICIES}
    found = []
    for document in documents(file.read_text(encoding="utf-8"), source=file.name):
        validated = validate(document.value, definitions=definitions())
        assert validated.accepted, validated
        found.append((paths[document.value["kind"]], validated.object))
    return found
