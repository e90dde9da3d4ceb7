"""How the ledger proves itself to Redis, and Redis to it."""

import asyncio
import contextlib
import re
import shutil
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID

from pointsman_operator.quotas import (
    RedisEndpoint,
    StoreUnavailableError,
)
from pointsman_operator.tls.certificates import KeyPair, make_authority, make_leaf
from process.operator.redis.opening import opened
from support.quota.store_suite import account, key
from support.redis.binaries import Binary
from support.redis.servers import RedisServer, running


async def test_the_password_is_read_from_its_file_for_each_connection_and_never_shown(
    binary: Binary, tmp_path: Path
) -> None:
    file = tmp_path / "password"
    with running(binary, tmp_path / "redis", requirepass="first-secret") as server:
        endpoint = replace(server.endpoint, password_file=file)
        async with opened(endpoint) as store:
            with pytest.raises(StoreUnavailableError, match=r"password of Redis in .*password cannot be read: No such"):
                await store.read()
            file.write_text("wrong-secret\n")
            with pytest.raises(StoreUnavailableError, match="invalid username-password pair") as refused:
                await store.read()
            assert "wrong-secret" not in repr(refused.value)
            file.write_text("first-secret\n")
            assert await store.read() == {}

            server.settings["requirepass"] = "second-secret"
            server.kill()
            server.start()
            file.write_text("second-secret\n")
            with contextlib.suppress(StoreUnavailableError):
                await store.read()
            assert await store.read() == {}
        assert "secret" not in repr(endpoint).replace(str(file), "")


DOCS = (Path(__file__).parents[4] / "docs/quotas.md").read_text()


async def test_a_user_with_the_rights_that_the_docs_name_is_enough(
    server: RedisServer, endpoint: RedisEndpoint, tmp_path: Path
) -> None:
    named = DOCS.partition("Its user needs the commands ")[2].partition(", and the keys")[0]
    commands = re.findall(r"`([A-Z|]+)`", named)
    assert "EVALSHA" in commands
    allowed = [f"+{command.lower()}" for command in commands]
    keys = f"~{{{endpoint.prefix}}}:*"
    assert server.ask("ACL", "SETUSER", "ledger", "on", ">a-secret", keys, "-@all", *allowed) == "+OK\r\n"
    await asyncio.to_thread((file := tmp_path / "password").write_text, "a-secret")
    user = replace(endpoint, username="ledger", password_file=file)
    async with opened(user) as store:
        await store.read()
        await store.write({key(): account(1)})
        await store.write({key(): None})
        await store.put_fence(None)
        assert await store.fence() is None
    async with opened(replace(user, prefix="not-mine")) as store:
        with pytest.raises(StoreUnavailableError, match="cannot be used"):
            await store.read()


@pytest.fixture
def certificates(tmp_path: Path) -> Path:
    """A CA, a server's certificate of it, and a client's."""
    folder = tmp_path / "certificates"
    folder.mkdir()
    now = datetime.now(UTC)
    authority = make_authority(now=now, lifetime=timedelta(days=1))
    leaf = make_leaf(authority, names=["127.0.0.1"], now=now, lifetime=timedelta(hours=1))
    client = client_of(authority, now=now)
    files = {"ca": authority.certificate, "server": leaf.certificate, "tls": client.certificate}
    for name, certificate in files.items():
        (folder / f"{name}.crt").write_bytes(certificate)
    (folder / "server.key").write_bytes(leaf.key)
    (folder / "tls.key").write_bytes(client.key)
    return folder


def client_of(authority: KeyPair, *, now: datetime) -> KeyPair:
    """A client's certificate."""
    key = ec.generate_private_key(ec.SECP256R1())
    issuer = x509.load_pem_x509_certificate(authority.certificate)
    signer = serialization.load_pem_private_key(authority.key, password=None)
    assert isinstance(signer, ec.EllipticCurvePrivateKey)
    certificate = (
        x509.CertificateBuilder()
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .subject_name(x509.Name([]))
        .issuer_name(issuer.subject)
        .public_key(key.public_key())
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("operator")]), critical=True)
        .sign(signer, hashes.SHA256())
    )
    encoding = serialization.Encoding.PEM
    private = key.private_bytes(encoding, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return KeyPair(certificate=certificate.public_bytes(encoding), key=private)


async def test_by_tls_both_know_each_other(binary: Binary, certificates: Path, tmp_path: Path) -> None:
    tls = {
        "tls-cert-file": str(certificates / "server.crt"),
        "tls-key-file": str(certificates / "server.key"),
        "tls-ca-cert-file": str(certificates / "ca.crt"),
        "tls-auth-clients": "yes",
    }
    with RedisServer(binary=binary, folder=tmp_path / "redis", tls=tls) as server:
        endpoint = replace(server.endpoint, tls=True, tls_folder=certificates)
        async with opened(endpoint) as store:
            await store.read()
            await store.write({key(): account()})
        stranger = tmp_path / "stranger"
        stranger.mkdir()
        for match, files in (
            ("holds no ca.crt, by which Redis at", ()),
            ("cannot be used", ("ca.crt",)),
            ("holds one of tls.crt and tls.key", ("ca.crt", "tls.crt")),
        ):
            for name in files:
                shutil.copy(certificates / name, stranger)
            async with opened(replace(endpoint, tls_folder=stranger)) as store:
                with pytest.raises(StoreUnavailableError, match=match):
                    await store.read()
        # By the system's CAs it is not known.
        async with opened(replace(endpoint, tls_folder=None)) as store:
            with pytest.raises(StoreUnavailableError, match="certificate verify failed"):
                await store.read()
