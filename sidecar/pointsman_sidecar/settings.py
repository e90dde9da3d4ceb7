"""What a sidecar is told when it starts: by flags, each with an environment variable beside it."""

import argparse
import logging
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import TypeVar

from pointsman_sidecar.control.trust import TrustError, check

DEFAULT_LISTEN = "127.0.0.1:8081"
DEFAULT_STATUS_LISTEN = "127.0.0.1:8082"
DEFAULT_HTTP_LISTEN = "127.0.0.1:8083"
DEFAULT_TOKEN_FILE = "/var/run/secrets/pointsman/token"  # noqa: S105 - where it is, and not what
_CA_VARIABLE = "POINTSMAN_OPERATOR_CA"
_HIGHEST_PORT = 65535
_Value = TypeVar("_Value")


@dataclass(frozen=True, kw_only=True, slots=True)
class Address:
    """Where to listen or connect. Port 0 takes a free one."""

    host: str
    port: int

    def __str__(self) -> str:
        """`host:port`, with brackets around an IPv6 host."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True, kw_only=True, slots=True)
class OperatorProof:
    """What proves the operator to us, a certificate of this CA for this name, and us to the operator: a token."""

    ca: bytes
    name: str
    token_file: Path


@dataclass(frozen=True, kw_only=True, slots=True)
class Settings:
    """All settings of a sidecar. Without `tls` the operator is reached in plain text, and believes what it hears."""

    operator: str
    tls: OperatorProof | None
    namespace: str
    pod: str
    labels: Mapping[str, str]
    listen: Address
    http_listen: Address
    status_listen: Address
    state_dir: Path | None
    grace: float
    log_level: str


class SettingsError(Exception):
    """A setting is missing or wrong. The text says which, and what to write."""


def address(text: str) -> Address:
    """Read `host:port`.

    Raises:
        SettingsError: it is something else.
    """
    host, _, port = text.rpartition(":")
    if not host or not port.isdecimal() or int(port) > _HIGHEST_PORT:
        raise SettingsError(f"{text!r} is no address: write host:port, such as 127.0.0.1:8081")
    return Address(host=host.removeprefix("[").removesuffix("]"), port=int(port))


def loopback(text: str) -> Address:
    """Read an address that only this pod can reach.

    Raises:
        SettingsError: it is something else.
    """
    read = address(text)
    if not (read.host == "localhost" or _is_loopback(read.host)):
        raise SettingsError(
            f"{text!r} is not on loopback: the door is for the apps of its own pod, such as {DEFAULT_LISTEN}"
        )
    return read


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def labels(text: str) -> dict[str, str]:
    """Read `key=value,key=value`.

    Raises:
        SettingsError: it is something else.
    """
    pairs = [pair.partition("=") for pair in text.split(",") if pair]
    if wrong := [key for key, equals, _ in pairs if not key or not equals]:
        raise SettingsError(f"{wrong[0]!r} is no label: write key=value, several with commas")
    return {key.strip(): value.strip() for key, _, value in pairs}


def parse(arguments: Sequence[str], environment: Mapping[str, str]) -> Settings:
    """Read flags, then the environment, then defaults.

    Raises:
        SettingsError: a setting is missing or wrong.
    """
    given = _parser().parse_args(arguments)

    def setting(flag: str, read: Callable[[str], _Value], default: str | None = None) -> _Value:
        variable = f"POINTSMAN_{flag.upper()}"
        text = getattr(given, flag)
        name = f"--{flag.replace('_', '-')}"
        if text is None:
            text, name = environment.get(variable, default), variable
        if text is None:
            raise SettingsError(f"--{flag.replace('_', '-')} (or {variable}) is missing")
        try:
            return read(text)
        except SettingsError as error:
            raise SettingsError(f"{name}: {error}") from error

    operator = setting("operator", address)
    tls = None
    if (ca := _ca(given.operator_ca, environment)) is not None:
        tls = OperatorProof(
            ca=ca,
            name=setting("operator_name", _name, operator.host),
            token_file=setting("token_file", lambda text: Path(_name(text)), DEFAULT_TOKEN_FILE),
        )
    for flag in ("operator_name", "token_file"):
        variable = f"POINTSMAN_{flag.upper()}"
        if tls is None and (getattr(given, flag) is not None or variable in environment):
            raise SettingsError(
                f"--{flag.replace('_', '-')} (or {variable}) needs --operator-ca (or {_CA_VARIABLE}): "
                "in plain text nobody is proven to anybody"
            )
    # Who proves it need not say it.
    claimed, name = (None, _name) if tls is None else ("", str)
    return Settings(
        operator=str(operator),
        tls=tls,
        namespace=setting("namespace", name, claimed),
        pod=setting("pod", name, environment.get("HOSTNAME", claimed)),
        labels=setting("labels", labels, ""),
        listen=setting("listen", loopback, DEFAULT_LISTEN),
        http_listen=setting("http_listen", loopback, DEFAULT_HTTP_LISTEN),
        status_listen=setting("status_listen", address, DEFAULT_STATUS_LISTEN),
        state_dir=setting("state_dir", lambda text: Path(text) if text else None, ""),
        # With what the last spans take, within the 30 s that Kubernetes gives a pod.
        grace=setting("grace", _seconds, "20"),
        log_level=setting("log_level", level, "INFO"),
    )


def _ca(file: str | None, environment: Mapping[str, str]) -> bytes | None:
    """The CA's certificates: by flag from a file, in the environment as they are."""
    name, ca = _CA_VARIABLE, environment.get(_CA_VARIABLE, "").encode()
    if file is not None:
        name = "--operator-ca"
        try:
            ca = Path(file).read_bytes()
        except OSError as error:
            raise SettingsError(f"{name}: {file} cannot be read: {error.strerror}") from error
    elif not ca:
        return None
    try:
        check(ca)
    except TrustError as error:
        raise SettingsError(f"{name}: {error}") from error
    return ca


def _name(text: str) -> str:
    if not text:
        raise SettingsError("it is empty")
    return text


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 0 <= seconds < math.inf:
        raise SettingsError(f"{text!r} is no number of seconds: write 0 or more, such as 25")
    return seconds


def level(text: str) -> str:
    """Read the name of a log level.

    Raises:
        SettingsError: it is something else.
    """
    if text.upper() not in logging.getLevelNamesMapping():
        raise SettingsError(f"{text!r} is no level: write DEBUG, INFO, WARNING or ERROR")
    return text.upper()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="pointsman-sidecar",
        description="Routes the completions of this pod between models, by the policy that the operator sends.",
        epilog="Each flag can be given as an environment variable instead: --state-dir as POINTSMAN_STATE_DIR.",
    )
    parser.add_argument("--operator", metavar="HOST:PORT", help="where the operator serves policies")
    parser.add_argument(
        "--operator-ca",
        metavar="FILE",
        help=f"the CA that the operator's certificate must be from, as PEM; in {_CA_VARIABLE} the PEM itself "
        "(default: plain text)",
    )
    parser.add_argument(
        "--operator-name", metavar="NAME", help="what its certificate must be for (default: the host of --operator)"
    )
    parser.add_argument(
        "--token-file",
        metavar="FILE",
        help=f"the pod's service-account token, which proves which pod it is (default: {DEFAULT_TOKEN_FILE})",
    )
    parser.add_argument("--namespace", help="the pod's namespace (believed by an operator in development only)")
    parser.add_argument("--pod", help="the pod's name (default: HOSTNAME)")
    parser.add_argument("--labels", metavar="K=V,K=V", help="the pod's labels (believed as its namespace is)")
    parser.add_argument("--listen", metavar="HOST:PORT", help=f"the gRPC door, on loopback (default: {DEFAULT_LISTEN})")
    parser.add_argument(
        "--http-listen",
        metavar="HOST:PORT",
        help=f"the OpenAI-compatible HTTP door, on loopback (default: {DEFAULT_HTTP_LISTEN})",
    )
    parser.add_argument(
        "--status-listen", metavar="HOST:PORT", help=f"health and metrics (default: {DEFAULT_STATUS_LISTEN})"
    )
    parser.add_argument("--state-dir", metavar="FOLDER", help="where the last good policy outlives a restart")
    parser.add_argument("--grace", metavar="SECONDS", help="how long answers may go on at shutdown (default: 20)")
    parser.add_argument("--log-level", help="DEBUG, INFO, WARNING or ERROR (default: INFO)")
    return parser
