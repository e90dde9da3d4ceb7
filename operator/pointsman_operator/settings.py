"""What can be set: by flag, or by environment variable where the flag is not given."""

import argparse
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

DEFAULT_NAMESPACE = "pointsman-system"
LOG_LEVELS = ("debug", "info", "warning", "error")

_NAMESPACE = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_HIGHEST_PORT = 65535


class SettingsError(Exception):
    """A setting cannot be obeyed; the message is a sentence that names it."""


@dataclass(frozen=True, kw_only=True)
class Address:
    """A host and a port to listen on; port 0 leaves the choice to the system."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True, kw_only=True)
class Settings:
    """All settings, checked."""

    listen: Address
    metrics_listen: Address
    namespace: str
    kubeconfig: str
    context: str
    insecure_claimed_identity: bool
    relist_interval: float
    log_level: str


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise SettingsError(message)


def read_settings(arguments: Sequence[str], *, environ: Mapping[str, str], own_namespace_file: Path) -> Settings:
    """Read and check the settings. Raise SettingsError if one of them is wrong."""
    parser = _Parser(
        prog="pointsman-operator",
        description="Watches ModelProviders and ModelRoutingPolicies, and pushes what follows to the sidecars.",
        epilog="Each option may be set by an environment variable instead, as --listen by POINTSMAN_LISTEN.",
        allow_abbrev=False,
    )

    def option(name: str, *, default: str, metavar: str, explain: str) -> None:
        variable = "POINTSMAN_" + name.replace("-", "_").upper()
        parser.add_argument(f"--{name}", default=environ.get(variable) or default, metavar=metavar, help=explain)

    option(
        "listen",
        default="127.0.0.1:9443",
        metavar="HOST:PORT",
        explain="where sidecars connect (default 127.0.0.1:9443: the stream is not encrypted yet, so that it should "
        "not leave the machine unless something else encrypts it)",
    )
    option(
        "metrics-listen",
        default="127.0.0.1:9090",
        metavar="HOST:PORT",
        explain="where /metrics, /healthz and /readyz are served (default 127.0.0.1:9090)",
    )
    option(
        "namespace",
        default=_own_namespace(own_namespace_file),
        metavar="NAME",
        explain=f"the namespace that the providers' Secrets are in (default: the pod's own, else {DEFAULT_NAMESPACE})",
    )
    option(
        "kubeconfig",
        default="",
        metavar="FILE",
        explain="how to reach Kubernetes (default: as the pod's service account, else KUBECONFIG, else ~/.kube/config)",
    )
    option("context", default="", metavar="NAME", explain="the kubeconfig's context (default: its current one)")
    option(
        "relist-interval",
        default="60",
        metavar="SECONDS",
        explain="how often everything is listed, beside being watched (default 60)",
    )
    option("log-level", default="info", metavar="LEVEL", explain=f"one of {', '.join(LOG_LEVELS)} (default info)")
    parser.add_argument(
        "--insecure-claimed-identity",
        action="store_true",
        default=_flag(environ, "POINTSMAN_INSECURE_CLAIMED_IDENTITY"),
        help="believe sidecars which pod they are in, without proof: for development only",
    )
    given = parser.parse_args(arguments)
    return Settings(
        listen=_address(given.listen, option="--listen"),
        metrics_listen=_address(given.metrics_listen, option="--metrics-listen"),
        namespace=_namespace(given.namespace),
        kubeconfig=given.kubeconfig,
        context=given.context,
        insecure_claimed_identity=given.insecure_claimed_identity,
        relist_interval=_seconds(given.relist_interval, option="--relist-interval"),
        log_level=_log_level(given.log_level),
    )


def _own_namespace(file: Path) -> str:
    try:
        return file.read_text().strip() or DEFAULT_NAMESPACE
    except OSError:
        return DEFAULT_NAMESPACE


def _address(text: str, *, option: str) -> Address:
    host, _, port = text.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not host or not port.isdecimal() or int(port) > _HIGHEST_PORT:
        raise SettingsError(f"{option} is {text!r}, which is no HOST:PORT; write for example 127.0.0.1:9443")
    return Address(host=host, port=int(port))


def _namespace(text: str) -> str:
    if not _NAMESPACE.fullmatch(text):
        raise SettingsError(f"--namespace is {text!r}, which cannot be the name of a namespace")
    return text


def _seconds(text: str, *, option: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1
    if not 1 <= seconds <= 3600:  # noqa: PLR2004 - said in the sentence below
        raise SettingsError(f"{option} is {text!r}; write a number of seconds from 1 to 3600")
    return seconds


def _log_level(text: str) -> str:
    if text not in LOG_LEVELS:
        raise SettingsError(f"--log-level is {text!r}; write one of {', '.join(LOG_LEVELS)}")
    return text


def _flag(environ: Mapping[str, str], variable: str) -> bool:
    text = environ.get(variable, "")
    if text not in {"", "true", "false"}:
        raise SettingsError(f"{variable} is {text!r}; write true or false")
    return text == "true"
