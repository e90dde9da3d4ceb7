"""Operator and sidecar prove themselves to each other: certificates that follow one another, tokens that do."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import grpc
import pytest
import structlog

from pointsman_api.v1 import control_pb2, control_pb2_grpc
from pointsman_operator.tls import KeyPair
from pointsman_sidecar.control.store import SnapshotStore
from pointsman_sidecar.control.stream import Backoff, ControlStream
from pointsman_sidecar.control.trust import OperatorTls, Trust
from pointsman_sidecar.settings import OperatorProof, SettingsError, parse
from process.operator.proofs import NAME, authority, leaf
from support.operators import FakeOperator, running_operator
from support.sidecars import Sidecar, running_sidecar
from support.waiting import until

FIRST, SECOND = authority(), authority()
BOTH = FIRST.certificate + SECOND.certificate
GONE = control_pb2.ConnectResponse(no_policy=control_pb2.NoPolicy(nonce="n", reason="no policy is for this pod"))


class TlsOperator(FakeOperator):
    """An operator with a certificate."""

    def __init__(self, signed_by: KeyPair) -> None:
        super().__init__()
        self._leaf = leaf(signed_by)

    async def start(self, *, port: int) -> None:
        """Serve; port 0 takes a free one."""
        control_pb2_grpc.add_ControlServicer_to_server(self, self._server)
        credentials = grpc.ssl_server_credentials([(self._leaf.key, self._leaf.certificate)])
        self.address = f"127.0.0.1:{self._server.add_secure_port(f'127.0.0.1:{port}', credentials)}"
        await self._server.start()


@asynccontextmanager
async def operating(signed_by: KeyPair = FIRST, *, port: int = 0) -> AsyncIterator[TlsOperator]:
    """Serve until the block ends."""
    operator = TlsOperator(signed_by)
    await operator.start(port=port)
    try:
        yield operator
    finally:
        await operator.stop()


@pytest.fixture
async def operator() -> AsyncIterator[TlsOperator]:
    """An operator whose certificate is from the first CA."""
    async with operating() as running:
        yield running


@asynccontextmanager
async def following(
    address: str, folder: Path, *, trusted: bytes = FIRST.certificate, name: str = NAME
) -> AsyncIterator[Sidecar]:
    """A sidecar with a token in its folder, from its start to its end."""
    async with running_sidecar() as sidecar:
        control = ControlStream(
            operator=address,
            identity=None,
            in_force=sidecar.in_force,
            store=SnapshotStore(folder),
            counting=sidecar.counting,
            metrics=sidecar.metrics,
            log=structlog.wrap_logger(None, processors=[structlog.testing.LogCapture()]),
            backoff=Backoff(random=lambda: 0.0),
            clock=asyncio.get_running_loop().time,
            tls=OperatorTls(
                name=name, token_file=folder / "token", trust=Trust(trusted, folder=folder), look_every=0.02
            ),
        )
        task = asyncio.create_task(control.run(), name="control stream")
        try:
            yield sidecar
        finally:
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A pod's folder with its token."""
    (tmp_path / "token").write_text("token-1\n")
    return tmp_path


async def test_the_hello_carries_the_token_that_is_mounted(operator: TlsOperator, folder: Path) -> None:
    async with following(operator.address, folder):
        connection = await operator.connection()

    assert connection.hello.token == "token-1"
    assert not connection.hello.HasField("claimed_identity")


async def test_a_fresh_token_is_sent_when_it_is_there(operator: TlsOperator, folder: Path) -> None:
    async with following(operator.address, folder):
        connection = await operator.connection()
        connection.send_raw(GONE)
        assert (await connection.answer()).HasField("ack")

        (folder / "token").unlink()
        (folder / "token").write_text("token-2")

        assert (await connection.answer()).token.token == "token-2"


async def test_without_a_token_it_says_which_file_is_missing_and_goes_on_when_it_is_there(
    operator: TlsOperator, tmp_path: Path
) -> None:
    async with following(operator.address, tmp_path) as sidecar:
        await until(lambda: "the pod's token cannot be read" in sidecar.in_force.no_policy)
        assert f"{tmp_path / 'token'}: No such file" in sidecar.in_force.no_policy
        (tmp_path / "token").write_text("token-1")

        assert (await operator.connection()).hello.token == "token-1"


@pytest.mark.parametrize(
    ("trusted", "name", "sentence"),
    [
        pytest.param(SECOND.certificate, NAME, "is not from a CA that this sidecar was told to trust", id="CA"),
        pytest.param(
            FIRST.certificate,
            "else.example.com",
            "is not for else.example.com; name the host it is for with --operator-name",
            id="name",
        ),
    ],
)
async def test_an_operator_that_is_not_who_it_should_be_gets_no_token_and_the_app_is_told_why(
    operator: TlsOperator, folder: Path, trusted: bytes, name: str, sentence: str
) -> None:
    async with following(operator.address, folder, trusted=trusted, name=name) as sidecar:
        await until(lambda: sentence in sidecar.in_force.no_policy)

    assert operator.opened.empty()


async def test_an_operator_in_plain_text_gets_no_token(folder: Path) -> None:
    async with running_operator() as plain, following(plain.address, folder) as sidecar:
        await until(lambda: "UNAVAILABLE" in sidecar.in_force.no_policy)

        assert plain.opened.empty()


async def test_a_ca_that_was_announced_is_trusted_from_the_next_connection_on_and_after_a_restart(
    folder: Path,
) -> None:
    async with operating(FIRST) as first:
        port = int(first.address.rpartition(":")[2])
        async with following(first.address, folder):
            connection = await first.connection()
            connection.send_raw(
                control_pb2.ConnectResponse(trust=control_pb2.TrustUpdate(ca_bundle=BOTH)),
            )
            connection.send_raw(GONE)
            await connection.answer()
            await first.stop()
            async with operating(SECOND, port=port) as second:
                assert (await second.connection()).hello.token == "token-1"

    async with operating(SECOND) as second, following(second.address, folder):
        assert (await second.connection()).hello.token == "token-1"


async def test_what_is_no_ca_changes_nothing(operator: TlsOperator, folder: Path) -> None:
    async with following(operator.address, folder):
        connection = await operator.connection()
        connection.send_raw(control_pb2.ConnectResponse(trust=control_pb2.TrustUpdate(ca_bundle=b"junk")))
        connection.close()

        assert await operator.connection()


async def test_a_pod_that_begins_with_another_ca_does_not_trust_what_an_earlier_one_was_told(tmp_path: Path) -> None:
    Trust(FIRST.certificate, folder=tmp_path).replace(BOTH)

    assert Trust(FIRST.certificate, folder=tmp_path).bundle == BOTH
    assert Trust(SECOND.certificate, folder=tmp_path).bundle == SECOND.certificate


CA = FIRST.certificate.decode()
ENVIRONMENT = {"POINTSMAN_OPERATOR": "pointsman.system.svc:9443", "POINTSMAN_OPERATOR_CA": CA}


def test_with_a_ca_nothing_need_be_claimed() -> None:
    settings = parse([], ENVIRONMENT)

    assert settings.tls == OperatorProof(
        ca=FIRST.certificate, name="pointsman.system.svc", token_file=Path("/var/run/secrets/pointsman/token")
    )
    assert settings.namespace == ""


def test_the_ca_is_a_file_by_flag(tmp_path: Path) -> None:
    (tmp_path / "ca.crt").write_text(CA)

    settings = parse([f"--operator-ca={tmp_path}/ca.crt", "--operator=10.0.0.1:9443", "--operator-name=localhost"], {})

    assert settings.tls is not None
    assert (settings.tls.ca, settings.tls.name) == (FIRST.certificate, "localhost")


@pytest.mark.parametrize(
    ("arguments", "environment", "sentence"),
    [
        (
            ["--token-file=/token"],
            {},
            "--token-file (or POINTSMAN_TOKEN_FILE) needs --operator-ca (or POINTSMAN_OPERATOR_CA): in plain text",
        ),
        ([], {"POINTSMAN_OPERATOR_NAME": "x"}, "--operator-name (or POINTSMAN_OPERATOR_NAME) needs --operator-ca"),
        (
            ["--operator-ca=/nowhere/ca.crt"],
            {},
            "--operator-ca: /nowhere/ca.crt cannot be read: No such file or directory",
        ),
        ([], {"POINTSMAN_OPERATOR_CA": "junk"}, "POINTSMAN_OPERATOR_CA: there is no certificate in PEM form"),
        (["--operator-name="], {"POINTSMAN_OPERATOR_CA": CA}, "--operator-name: it is empty"),
    ],
)
def test_what_does_not_fit_together_is_said_in_one_sentence(
    arguments: list[str], environment: Mapping[str, str], sentence: str
) -> None:
    claims = {"POINTSMAN_OPERATOR": "operator:1", "POINTSMAN_NAMESPACE": "shop", "POINTSMAN_POD": "app-1"}

    with pytest.raises(SettingsError) as caught:
        parse(arguments, {**claims, **environment})

    assert str(caught.value).startswith(sentence)
