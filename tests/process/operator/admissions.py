"""The webhooks as the API server meets them: over TLS, one review at a time."""

import base64
import io
import json
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import aiohttp
from prometheus_client import CollectorRegistry

from pointsman_operator.admission import AdmissionMetrics, AdmissionServer
from pointsman_operator.inject import SidecarSettings
from pointsman_operator.settings import Address
from pointsman_operator.tls import KeyPair, ServingCertificates
from pointsman_operator.tls.certificates import make_authority, make_leaf
from pointsman_operator.world import World
from pure.operator.pods import SETTINGS, Json

BY_POD = "/mutate-pods/by-pod"
BY_NAMESPACE = "/mutate-pods/by-namespace"
VALIDATE = "/validate"
_DAY = timedelta(days=1)


def authority() -> KeyPair:
    """A CA of its own."""
    return make_authority(now=datetime.now(UTC), lifetime=_DAY)


def put(certificates: ServingCertificates, made: KeyPair) -> None:
    """Serve a new certificate of this authority."""
    leaf = make_leaf(made, names=["127.0.0.1", "localhost"], now=datetime.now(UTC), lifetime=_DAY)
    certificates.put(leaf, ca_bundle=made.certificate)


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What came back: `response` of a review, or the text of an error."""

    status: int
    text: str

    @property
    def response(self) -> Json:
        """The review's response."""
        assert self.status == 200, self.text
        found: Json = json.loads(self.text)["response"]
        return found

    @property
    def patch(self) -> list[Json]:
        """The patch; empty where there is none."""
        found: list[Json] = json.loads(base64.b64decode(self.response.get("patch", "W10=")))
        return found


@dataclass(frozen=True, kw_only=True)
class Webhooks:
    """A running server."""

    server: AdmissionServer
    certificates: ServingCertificates
    registry: CollectorRegistry
    address: Address

    async def post(self, path: str, body: bytes) -> Answer:
        """Send a body on a connection of its own, and trust what the server says is to be trusted."""
        trust = ssl.create_default_context(cadata=self.certificates.ca_bundle.decode())
        async with (
            aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=trust)) as session,
            session.post(f"https://{self.address}{path}", data=io.BytesIO(body)) as response,
        ):
            return Answer(status=response.status, text=await response.text())

    async def ask(self, path: str, value: Json, *, kind: str = "Pod", old: Json | None = None) -> Answer:
        """Send a review of an object."""
        return await self.post(path, json.dumps(review(value, kind=kind, old=old)).encode())

    def counted(self, webhook: str, verdict: str) -> float:
        """How many reviews had this verdict."""
        labels = {"webhook": webhook, "verdict": verdict}
        return self.registry.get_sample_value("pointsman_operator_admissions_total", labels) or 0


def review(value: Any, *, kind: str = "Pod", old: Json | None = None) -> Json:
    """A review of an object that is about to be created, or written over the old one."""
    operation = "CREATE" if old is None else "UPDATE"
    request = {"uid": "review-1", "kind": {"kind": kind}, "operation": operation, "object": value, "oldObject": old}
    return {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": request}


@asynccontextmanager
async def webhooks(
    *, world: World | None = None, sidecar: SidecarSettings | None = SETTINGS
) -> AsyncIterator[Webhooks]:
    """A server with a certificate, listening; a `world` of None is one that cannot be looked at."""
    certificates = ServingCertificates()
    put(certificates, authority())
    registry = CollectorRegistry()

    def look() -> World:
        if world is None:
            raise RuntimeError("made to fail")
        return world

    server = AdmissionServer(certificates=certificates, sidecar=sidecar, world=look, metrics=AdmissionMetrics(registry))
    address = await server.start(Address(host="127.0.0.1", port=0))
    try:
        yield Webhooks(server=server, certificates=certificates, registry=registry, address=address)
    finally:
        await server.stop()
