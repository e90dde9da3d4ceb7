"""What a sidecar is told when it starts: what is read, and the sentence on what cannot be."""

from pathlib import Path

import pytest

from pointsman_sidecar.settings import Address, SettingsError, parse

NEEDED = {"POINTSMAN_OPERATOR": "operator:9090", "POINTSMAN_NAMESPACE": "shop", "POINTSMAN_POD": "web-1"}


def test_little_needs_to_be_said() -> None:
    read = parse([], NEEDED)

    assert (read.operator, read.namespace, read.pod) == ("operator:9090", "shop", "web-1")
    assert read.labels == {}
    assert read.listen == Address(host="127.0.0.1", port=8081)
    assert read.status_listen == Address(host="127.0.0.1", port=8082)
    assert read.http_listen == Address(host="127.0.0.1", port=8083)
    assert read.state_dir is None
    assert read.grace == 20
    assert read.log_level == "INFO"


def test_everything_can_be_said_by_flag() -> None:
    read = parse(
        [
            *("--operator", "[::1]:9090", "--namespace", "shop", "--pod", "web-1", "--labels", "app=support, tier = a"),
            *("--listen", "[::1]:0", "--status-listen", "0.0.0.0:9102", "--state-dir", "/var/lib/pointsman"),
            *("--http-listen", "[::1]:9103"),
            *("--grace", "0.5", "--log-level", "debug"),
        ],
        {},
    )

    assert read.operator == "[::1]:9090"
    assert read.labels == {"app": "support", "tier": "a"}
    assert read.listen == Address(host="::1", port=0)
    assert str(read.listen) == "[::1]:0"
    assert read.status_listen == Address(host="0.0.0.0", port=9102)
    assert read.http_listen == Address(host="::1", port=9103)
    assert read.state_dir == Path("/var/lib/pointsman")
    assert read.grace == 0.5
    assert read.log_level == "DEBUG"


def test_everything_can_be_said_in_the_environment() -> None:
    read = parse(
        [],
        NEEDED
        | {
            "POINTSMAN_LABELS": "app=support",
            "POINTSMAN_LISTEN": "localhost:1",
            "POINTSMAN_HTTP_LISTEN": "localhost:3",
            "POINTSMAN_STATUS_LISTEN": "0.0.0.0:9102",
            "POINTSMAN_STATE_DIR": "/state",
            "POINTSMAN_GRACE": "0",
            "POINTSMAN_LOG_LEVEL": "WARNING",
        },
    )

    assert read.labels == {"app": "support"}
    assert str(read.listen) == "localhost:1"
    assert str(read.status_listen) == "0.0.0.0:9102"
    assert str(read.http_listen) == "localhost:3"
    assert read.state_dir == Path("/state")
    assert read.grace == 0
    assert read.log_level == "WARNING"


def test_a_flag_is_stronger_than_the_environment() -> None:
    assert parse(["--namespace", "flagged"], NEEDED).namespace == "flagged"


def test_a_pod_is_named_after_its_host_where_nothing_else_is_said() -> None:
    environment = {"POINTSMAN_OPERATOR": "operator:9090", "POINTSMAN_NAMESPACE": "shop", "HOSTNAME": "web-7"}

    assert parse([], environment).pod == "web-7"


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--operator", "operator"], "--operator: 'operator' is no address: write host:port, such as 127.0.0.1:8081"),
        (["--operator", ":1"], "--operator: ':1' is no address: write host:port, such as 127.0.0.1:8081"),
        (["--operator", "host:"], "--operator: 'host:' is no address: write host:port, such as 127.0.0.1:8081"),
        (
            ["--status-listen", "0.0.0.0:65536"],
            "--status-listen: '0.0.0.0:65536' is no address: write host:port, such as 127.0.0.1:8081",
        ),
        (
            ["--listen", "0.0.0.0:8081"],
            (
                "--listen: '0.0.0.0:8081' is not on loopback: the door is for the apps of its own pod, "
                "such as 127.0.0.1:8081"
            ),
        ),
        (
            ["--listen", "127.example.com:8081"],
            (
                "--listen: '127.example.com:8081' is not on loopback: the door is for the apps of its own pod, "
                "such as 127.0.0.1:8081"
            ),
        ),
        (["--labels", "app"], "--labels: 'app' is no label: write key=value, several with commas"),
        (["--labels", "=x"], "--labels: '' is no label: write key=value, several with commas"),
        (["--grace", "soon"], "--grace: 'soon' is no number of seconds: write 0 or more, such as 25"),
        (["--grace", "nan"], "--grace: 'nan' is no number of seconds: write 0 or more, such as 25"),
        (["--grace", "inf"], "--grace: 'inf' is no number of seconds: write 0 or more, such as 25"),
        (["--grace=-1"], "--grace: '-1' is no number of seconds: write 0 or more, such as 25"),
        (["--log-level", "loud"], "--log-level: 'loud' is no level: write DEBUG, INFO, WARNING or ERROR"),
        (["--namespace", ""], "--namespace: it is empty"),
        (["--pod", ""], "--pod: it is empty"),
    ],
)
def test_a_wrong_setting_is_named_with_what_to_write(arguments: list[str], sentence: str) -> None:
    with pytest.raises(SettingsError) as caught:
        parse(arguments, NEEDED)

    assert str(caught.value) == sentence


def test_a_wrong_variable_is_named_as_the_variable() -> None:
    with pytest.raises(SettingsError) as caught:
        parse([], NEEDED | {"POINTSMAN_GRACE": "soon"})

    assert str(caught.value) == "POINTSMAN_GRACE: 'soon' is no number of seconds: write 0 or more, such as 25"


@pytest.mark.parametrize("missing", ["operator", "namespace", "pod"])
def test_what_is_missing_is_named_both_ways(missing: str) -> None:
    variable = f"POINTSMAN_{missing.upper()}"

    with pytest.raises(SettingsError) as caught:
        parse([], {name: value for name, value in NEEDED.items() if name != variable})

    assert str(caught.value) == f"--{missing} (or {variable}) is missing"
