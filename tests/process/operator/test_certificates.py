"""Certificates are made, shared by replicas, and exchanged while listeners go on."""

import asyncio
import base64
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web
from cryptography import x509

from pointsman_operator.tls import (
    CA_SECRET,
    CertificateError,
    MountedCertificates,
    OwnAuthority,
    Plan,
    ServingCertificates,
)
from pointsman_operator.tls import authority as authority_module
from pointsman_operator.tls import mounted as mounted_module
from pointsman_operator.watch import Cluster, Connector, OwnSecrets
from process.operator.fake_api import SECRETS, FakeApi
from process.operator.proofs import authority, leaf
from pure.operator.objects import OPERATOR_NAMESPACE
from support.waiting import until

DAY = timedelta(days=1)
SECRET = f"{SECRETS}/{CA_SECRET}"


@dataclass
class Time:
    """A clock that tests move."""

    now: datetime


class Replica:
    """One operator's certificates."""

    def __init__(self, cluster: Cluster, time: Time) -> None:
        self.serving = ServingCertificates()
        self.changes: list[bytes] = []
        self.serving.on_change(lambda: self.changes.append(self.serving.ca_bundle))
        self.authority = OwnAuthority(
            self.serving,
            secrets=OwnSecrets(cluster, namespace=OPERATOR_NAMESPACE),
            namespace=OPERATOR_NAMESPACE,
            names=["localhost"],
            plan=Plan(lifetime=100 * DAY, overlap=5 * DAY),
            leaf_lifetime=DAY,
            now=lambda: time.now,
        )

    @property
    def trusted(self) -> int:
        """How many authorities are trusted."""
        return len(x509.load_pem_x509_certificates(self.serving.ca_bundle))

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Its task."""
        task = asyncio.create_task(self.authority.run())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


@pytest.fixture
def time() -> Time:
    """The real time, standing still."""
    return Time(now=datetime.now(UTC))


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    for module, name in (
        (authority_module, "LONGEST_PAUSE_SECONDS"),
        (authority_module, "RETRY_SECONDS"),
        (mounted_module, "BETWEEN_LOOKS_SECONDS"),
    ):
        monkeypatch.setattr(module, name, 0.02)


@pytest.fixture
async def api() -> AsyncIterator[FakeApi]:
    async with FakeApi.running() as running:
        yield running


@pytest.fixture
async def cluster(api: FakeApi, tmp_path: Path) -> AsyncIterator[Cluster]:
    connector = Connector(kubeconfig=api.kubeconfig(tmp_path))
    async with Cluster(connector, secrets_namespace=OPERATOR_NAMESPACE) as made:
        yield made


@asynccontextmanager
async def https(serving: ServingCertificates) -> AsyncIterator[int]:
    """A server with these certificates, and its port."""
    app = web.Application()

    async def answer(_: web.Request) -> web.Response:
        return web.Response(text="ok")

    app.router.add_get("/", answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=serving.ssl_context).start()
    try:
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()


async def said(port: int, *, trusted: bytes) -> str:
    """What the server answers to somebody who trusts these."""
    context = ssl.create_default_context(cadata=trusted.decode())
    async with (
        aiohttp.ClientSession() as session,
        session.get(f"https://localhost:{port}/", ssl=context) as response,
    ):
        return await response.text()


async def test_replicas_that_start_together_have_one_ca_and_a_certificate_each(cluster: Cluster, time: Time) -> None:
    replicas = [Replica(cluster, time) for _ in range(5)]

    await asyncio.gather(*(replica.authority.start() for replica in replicas))

    assert len({replica.serving.ca_bundle for replica in replicas}) == 1
    async with https(replicas[0].serving) as port:
        assert await said(port, trusted=replicas[-1].serving.ca_bundle) == "ok"


async def test_an_operator_waits_for_an_api_server_that_is_away(api: FakeApi, cluster: Cluster, time: Time) -> None:
    api.failing[SECRET] = 503
    replica = Replica(cluster, time)
    starting = asyncio.create_task(replica.authority.start())
    await until(lambda: api.refused[SECRET] > 2)
    assert not replica.serving.ready
    api.failing.clear()

    await asyncio.wait_for(starting, 5)

    assert replica.serving.ready


async def test_a_ca_follows_another_and_every_replica_takes_part(api: FakeApi, cluster: Cluster, time: Time) -> None:
    one, other = Replica(cluster, time), Replica(cluster, time)
    async with one.running(), other.running():
        await until(lambda: one.serving.ready and other.serving.ready)
        first = one.serving.ca_bundle
        time.now += 80 * DAY
        await until(lambda: one.trusted == other.trusted == 2)
        assert one.serving.ca_bundle == other.serving.ca_bundle
        assert one.serving.ca_bundle.startswith(first)
        # The one that signs comes first.
        time.now += 5 * DAY
        await until(lambda: one.serving.ca_bundle.endswith(first) and other.serving.ca_bundle.endswith(first))
        time.now += 15 * DAY
        await until(lambda: one.trusted == other.trusted == 1)
        assert first not in one.serving.ca_bundle
    data = api.objects[SECRETS][CA_SECRET]["data"]
    assert sorted(data) == ["ca.crt", "ca.key"]


async def test_a_certificate_is_renewed_though_the_api_server_is_away(
    api: FakeApi, cluster: Cluster, time: Time
) -> None:
    replica = Replica(cluster, time)
    async with replica.running():
        await until(lambda: replica.serving.ready)
        api.failing[SECRET] = 503
        time.now += timedelta(hours=17)

        await until(lambda: len(replica.changes) == 2)

    assert replica.trusted == 1


async def test_a_secret_that_is_deleted_is_replaced_by_another_ca(api: FakeApi, cluster: Cluster, time: Time) -> None:
    replica = Replica(cluster, time)
    async with replica.running():
        await until(lambda: replica.serving.ready)
        first = replica.serving.ca_bundle
        api.delete(SECRETS, CA_SECRET)

        await until(lambda: replica.serving.ca_bundle != first)

    assert CA_SECRET in api.objects[SECRETS]


async def test_a_secret_that_is_not_ours_is_left_alone_and_what_was_served_goes_on(
    api: FakeApi, cluster: Cluster, time: Time
) -> None:
    replica = Replica(cluster, time)
    async with replica.running():
        await until(lambda: replica.serving.ready)
        theirs = {"ca.crt": base64.b64encode(b"theirs").decode()}
        api.write(SECRETS, {**api.objects[SECRETS][CA_SECRET], "data": theirs})
        time.now += timedelta(hours=17)

        await until(lambda: len(replica.changes) == 2)

    assert api.objects[SECRETS][CA_SECRET]["data"] == theirs


async def test_a_listener_serves_another_certificate_without_a_restart() -> None:
    serving, first, second = ServingCertificates(), authority(), authority()
    serving.put(leaf(first, "localhost"), ca_bundle=first.certificate)
    async with https(serving) as port:
        assert await said(port, trusted=first.certificate) == "ok"

        serving.put(leaf(second, "localhost"), ca_bundle=second.certificate)

        assert await said(port, trusted=second.certificate) == "ok"
        with pytest.raises(aiohttp.ClientConnectorCertificateError):
            await said(port, trusted=first.certificate)


def mount(folder: Path, **files: bytes) -> None:
    for name, content in files.items():
        (folder / name.replace("_", ".")).write_bytes(content)


async def test_a_mounted_certificate_is_served_and_followed(tmp_path: Path) -> None:
    signing = authority()
    pair = leaf(signing, "localhost")
    mount(tmp_path, tls_crt=pair.certificate, tls_key=pair.key, ca_crt=signing.certificate)
    serving = ServingCertificates()
    mounted = MountedCertificates(serving, folder=tmp_path)
    await mounted.start()
    task = asyncio.create_task(mounted.run())
    async with https(serving) as port:
        mount(tmp_path, tls_key=b"half written")
        assert await said(port, trusted=signing.certificate) == "ok"
        other = authority()
        pair = leaf(other, "localhost")
        mount(tmp_path, tls_crt=pair.certificate, tls_key=pair.key, ca_crt=other.certificate)

        await until(lambda: serving.ca_bundle == other.certificate)

        assert await said(port, trusted=other.certificate) == "ok"
    task.cancel()


@pytest.mark.parametrize(
    ("missing", "sentence"),
    [("ca.crt", "ca.crt cannot be read: No such file or directory; mount a Secret"), ("tls.key", "tls.key cannot")],
)
async def test_what_is_missing_from_a_mounted_folder_is_named(tmp_path: Path, missing: str, sentence: str) -> None:
    signing = authority()
    pair = leaf(signing)
    mount(tmp_path, tls_crt=pair.certificate, tls_key=pair.key, ca_crt=signing.certificate)
    (tmp_path / missing).unlink()

    with pytest.raises(CertificateError, match=sentence):
        await MountedCertificates(ServingCertificates(), folder=tmp_path).start()
