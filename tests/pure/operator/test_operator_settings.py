"""Settings come from flags or the environment, and a wrong one is named."""

import socket
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path

import pytest

from pointsman_operator.settings import Address, ReplicaSettings, Settings, SettingsError, read_settings

NOWHERE = Path("/nowhere/namespace")
REPLICA = ["--advertise=10.0.0.1:9443", "--replica-token-file=/token"]


def read(*arguments: str, own: Path = NOWHERE, environ: Mapping[str, str] | None = None) -> Settings:
    return read_settings(arguments, environ=environ or {}, own_namespace_file=own)


def test_defaults_listen_on_this_machine_only_and_believe_nobody() -> None:
    settings = read()

    assert settings.listen == Address(host="127.0.0.1", port=9443)
    assert settings.metrics_listen.host == "127.0.0.1"
    assert settings.namespace == "pointsman-system"
    assert not settings.insecure_claimed_identity
    assert settings.audience == "pointsman.dev"
    assert settings.tls_dir is None


def test_in_a_pod_the_namespace_is_the_pods_own(tmp_path: Path) -> None:
    own = tmp_path / "namespace"
    own.write_text("routing\n")

    assert read(own=own).namespace == "routing"
    assert read("--namespace=other", own=own).namespace == "other"


def test_a_flag_wins_over_the_environment() -> None:
    environ = {"POINTSMAN_LISTEN": "0.0.0.0:1", "POINTSMAN_INSECURE_CLAIMED_IDENTITY": "true"}

    assert read(environ=environ).listen == Address(host="0.0.0.0", port=1)
    assert read(environ=environ).insecure_claimed_identity
    assert read("--listen", "[::1]:2", environ=environ).listen == Address(host="::1", port=2)


def test_an_ipv6_address_is_written_with_brackets() -> None:
    assert str(Address(host="::1", port=2)) == "[::1]:2"


def test_a_replica_has_a_lease_an_address_and_the_hosts_name() -> None:
    assert read().replicas is None

    replicas = read("--lease=pointsman", "--advertise=[fd00::1]:9443", "--replica-token-file=/token").replicas

    assert replicas == ReplicaSettings(
        lease="pointsman",
        lease_duration=timedelta(seconds=15),
        name=socket.gethostname(),
        advertise=Address(host="fd00::1", port=9443),
        token_file=Path("/token"),
    )


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--listen=9443"], "--listen is '9443', which is no HOST:PORT; write for example 127.0.0.1:9443"),
        (["--listen=localhost:http"], "--listen is 'localhost:http'"),
        (["--metrics-listen=localhost:65536"], "--metrics-listen is 'localhost:65536'"),
        (["--namespace=Mine"], "--namespace is 'Mine', which cannot be the name of a namespace"),
        (["--relist-interval=soon"], "--relist-interval is 'soon'; write a number of seconds from 1 to 3600"),
        (["--relist-interval=nan"], "--relist-interval is 'nan'"),
        (["--log-level=loud"], "--log-level is 'loud'; write one of debug, info, warning, error"),
        (["--service=pointsman.svc"], "--service is 'pointsman.svc', which cannot be the name of a Service"),
        (["--certificate-lifetime=1w"], "--certificate-lifetime is '1w'; write a number with s, m, h or d"),
        (["--ca-overlap=0s"], "--ca-overlap is '0s'; write a number"),
        (["--ca-lifetime=23h"], "--ca-lifetime is shorter than --certificate-lifetime; a CA must"),
        (
            ["--insecure-claimed-identity", "--tls-dir=/tls"],
            "--insecure-claimed-identity serves in plain text, where the certificate of --tls-dir has no use",
        ),
        (["--drain=5"], "--drain is '5'; write a number with s, m, h or d"),
        (["--advertise=a:1"], "--advertise does nothing without --lease; name the Lease, or leave it out"),
        (
            ["--lease=pointsman", "--advertise=a:1"],
            "--replica-token-file is missing, without which replicas cannot reach",
        ),
        (["--lease=pointsman", "--replica-token-file=t"], "--advertise is missing"),
        (["--lease=Mine", *REPLICA], "--lease is 'Mine', which cannot be the name of a Lease"),
        (["--lease=mine", "--lease-duration=4s", *REPLICA], "--lease-duration is shorter than 5s"),
        (["--lease=mine", "--insecure-claimed-identity", *REPLICA], "--lease needs replicas that prove who they are"),
        (["--verbose"], "unrecognized arguments: --verbose"),
    ],
)
def test_a_wrong_setting_is_named_with_what_to_write(arguments: list[str], sentence: str) -> None:
    with pytest.raises(SettingsError) as caught:
        read(*arguments)

    assert sentence in str(caught.value)


def test_a_wrong_word_for_a_switch_is_refused() -> None:
    with pytest.raises(SettingsError, match="POINTSMAN_INSECURE_CLAIMED_IDENTITY is 'yes'; write true or false"):
        read(environ={"POINTSMAN_INSECURE_CLAIMED_IDENTITY": "yes"})
