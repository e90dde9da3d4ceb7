"""Settings come from flags or the environment, and a wrong one is named."""

import socket
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path

import pytest

from pointsman_operator.quotas import RedisEndpoint
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


def test_the_ledger_is_in_the_cluster_or_in_a_redis_by_url() -> None:
    assert read().ledger is None

    url = "rediss://ledger%40eu@[fd00::1]:6380/2"
    named = read(
        f"--ledger-redis-url={url}",
        "--ledger-redis-password-file=/redis/password",
        "--ledger-redis-tls-dir=/redis-tls",
        "--ledger-redis-prefix=eu",
        environ={"POINTSMAN_LEDGER_REDIS_AWAIT_IMPORT": "true"},
    ).ledger

    assert named == RedisEndpoint(
        host="fd00::1",
        port=6380,
        database=2,
        tls=True,
        username="ledger@eu",
        password_file=Path("/redis/password"),
        tls_folder=Path("/redis-tls"),
        prefix="eu",
        awaits_import=True,
    )
    assert str(named) == "[fd00::1]:6380"
    assert (named.accounts_key, named.ledger_key) == ("{eu}:accounts", "{eu}:ledger")
    assert str(read("--ledger-redis-url=redis://redis").ledger) == "redis:6379"


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--ledger-redis-url=redis://:hunter2@redis"], "has a password in it, which others could read: put it into a"),
        (["--ledger-redis-url=http://redis"], "is not redis://HOST:PORT or, with TLS, rediss://HOST:PORT"),
        (["--ledger-redis-url=redis.example:6379"], "is not redis://HOST:PORT"),
        (["--ledger-redis-url=redis://redis:port"], "cannot be read; write for example rediss://"),
        (["--ledger-redis-url=redis://redis/first"], "ends with '/first'; write the number of a database"),
        (["--ledger-redis-url=redis://redis?db=1"], "is not redis://HOST:PORT"),
        (["--ledger-redis-url=redis://me@redis"], "names a user; give the password too, in a file"),
        (
            ["--ledger-redis-url=redis://redis", "--ledger-redis-tls-dir=/tls"],
            "certificates have no use; say rediss://",
        ),
        (["--ledger-redis-url=redis://redis", "--ledger-redis-prefix={a}"], "the prefix '{a}' cannot be used"),
        (["--ledger-redis-password-file=/p"], "--ledger-redis-password-file does nothing without --ledger-redis-url"),
        (["--ledger-redis-tls-dir=/tls"], "--ledger-redis-tls-dir does nothing without --ledger-redis-url"),
        (["--ledger-redis-prefix=eu"], "--ledger-redis-prefix does nothing without --ledger-redis-url"),
        (["--ledger-redis-trust-durability"], "--ledger-redis-trust-durability does nothing without"),
        (["--ledger-redis-await-import"], "--ledger-redis-await-import does nothing without"),
    ],
)
def test_a_redis_that_cannot_be_meant_is_refused_and_no_password_repeated(arguments: list[str], sentence: str) -> None:
    with pytest.raises(SettingsError) as refused:
        read(*arguments)

    assert sentence in str(refused.value)
    assert "hunter2" not in str(refused.value)
