"""What can be set: by flag, or by environment variable where the flag is not given."""

import argparse
import re
import socket
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import NoReturn

from pointsman_operator.inject import CPU, MEMORY, Allowance, AllowanceError, Resource, SidecarSettings, read_allowance
from pointsman_operator.ledger_settings import LEDGER_FLAGS, add_ledger_options, read_ledger
from pointsman_operator.quotas import RedisEndpoint, RedisUrlError

DEFAULT_NAMESPACE = "pointsman-system"
LOG_LEVELS = ("debug", "info", "warning", "error")
PULL_POLICIES = ("Always", "IfNotPresent", "Never")

_NAMESPACE = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_CONFIGURATION = re.compile(r"(mutating|validating)webhookconfigurations/[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?")
_DURATION = re.compile(r"(0|[1-9][0-9]{0,7})([smhd])")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
_LEASE = re.compile(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?")
_SHORTEST_LEASE = timedelta(seconds=5)
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
class WebhookSettings:
    """Where the webhooks are served, which configurations name them, and what pods are given (None: nothing)."""

    listen: Address
    configurations: tuple[str, ...]
    sidecar: SidecarSettings | None


@dataclass(frozen=True, kw_only=True)
class ReplicaSettings:
    """By which Lease replicas elect, who this one is, where others reach it, and where its proof of being one is."""

    lease: str
    lease_duration: timedelta
    name: str
    advertise: Address
    token_file: Path


@dataclass(frozen=True, kw_only=True)
class Settings:
    """All settings, checked."""

    listen: Address
    metrics_listen: Address
    webhooks: WebhookSettings | None
    replicas: ReplicaSettings | None
    ledger: RedisEndpoint | None
    namespace: str
    kubeconfig: str
    context: str
    insecure_claimed_identity: bool
    audience: str
    service: str
    tls_dir: Path | None
    certificate_lifetime: timedelta
    ca_lifetime: timedelta
    ca_overlap: timedelta
    relist_interval: float
    drain: timedelta
    log_level: str


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise SettingsError(message)


def read_settings(arguments: Sequence[str], *, environ: Mapping[str, str], own_namespace_file: Path) -> Settings:
    """Read and check the settings. Raise SettingsError if one of them is wrong."""
    parser = _Parser(
        prog="pointsman-operator",
        description="Watches ModelProviders and ModelRoutingPolicies, and pushes what follows to the sidecars.",
        epilog="Each option may be set by an environment variable instead, as --listen by POINTSMAN_LISTEN. "
        "`pointsman-operator ledger --help`: moving the ledger of budgets from one store to another.",
        allow_abbrev=False,
    )

    def option(name: str, *, default: str, metavar: str, explain: str) -> None:
        variable = "POINTSMAN_" + name.replace("-", "_").upper()
        parser.add_argument(f"--{name}", default=environ.get(variable) or default, metavar=metavar, help=explain)

    option(
        "listen",
        default="127.0.0.1:9443",
        metavar="HOST:PORT",
        explain="where sidecars connect (default 127.0.0.1:9443)",
    )
    option(
        "metrics-listen",
        default="127.0.0.1:9090",
        metavar="HOST:PORT",
        explain="where /metrics, /healthz and /readyz are served (default 127.0.0.1:9090)",
    )
    _add_webhook_options(option)
    _add_replica_options(option)
    add_ledger_options(option)
    option(
        "namespace",
        default=own_namespace(own_namespace_file),
        metavar="NAME",
        explain=f"the namespace that the providers' Secrets are in (default: the pod's own, else {DEFAULT_NAMESPACE})",
    )
    option(
        "kubeconfig",
        default="",
        metavar="FILE",
        explain="how to reach Kubernetes (default: as the pod's service account, else KUBECONFIG, else ~/.kube/config)",
    )
    option(
        "audience",
        default="pointsman.dev",
        metavar="NAME",
        explain="the audience that sidecars' tokens must be made for (default pointsman.dev)",
    )
    option(
        "service",
        default="pointsman-operator",
        metavar="NAME",
        explain="the Service in front of the operator, whose names its certificate is for (default pointsman-operator)",
    )
    option(
        "tls-dir",
        default="",
        metavar="FOLDER",
        explain="where tls.crt, tls.key and ca.crt are mounted, as cert-manager makes them (default: the operator has "
        "a CA of its own)",
    )
    option(
        "certificate-lifetime",
        default="24h",
        metavar="DURATION",
        explain="how long a certificate of its own is good; another takes its place after two thirds (default 24h)",
    )
    option(
        "ca-lifetime",
        default="3650d",
        metavar="DURATION",
        explain="how long its own CA is good; another is made after four fifths (default 3650d)",
    )
    option(
        "ca-overlap",
        default="30d",
        metavar="DURATION",
        explain="how long sidecars are told to trust another CA before it signs (default 30d)",
    )
    option("context", default="", metavar="NAME", explain="the kubeconfig's context (default: its current one)")
    option(
        "relist-interval",
        default="60",
        metavar="SECONDS",
        explain="how often everything is listed, beside being watched (default 60)",
    )
    option(
        "drain",
        default="0s",
        metavar="DURATION",
        explain="how long sidecars are sent on to other replicas before the end, once told to stop (default 0s)",
    )
    option("log-level", default="info", metavar="LEVEL", explain=f"one of {', '.join(LOG_LEVELS)} (default info)")
    for name, explain in (
        (
            "insecure-claimed-identity",
            "believe sidecars which pod they are in, without proof and in plain text: for development only",
        ),
        *LEDGER_FLAGS,
    ):
        variable = "POINTSMAN_" + name.replace("-", "_").upper()
        parser.add_argument(f"--{name}", action="store_true", default=_flag(environ, variable), help=explain)
    given = parser.parse_args(arguments)
    if given.insecure_claimed_identity and given.tls_dir and not given.webhook_listen:
        raise SettingsError(
            "--insecure-claimed-identity serves in plain text, where the certificate of --tls-dir has no use; "
            "leave one of them out"
        )
    settings = Settings(
        listen=_address(given.listen, option="--listen"),
        metrics_listen=_address(given.metrics_listen, option="--metrics-listen"),
        webhooks=_webhooks(given),
        replicas=_replicas(given),
        ledger=_ledger(given),
        namespace=_namespace(given.namespace),
        kubeconfig=given.kubeconfig,
        context=given.context,
        insecure_claimed_identity=given.insecure_claimed_identity,
        audience=given.audience,
        service=_service(given.service),
        tls_dir=Path(given.tls_dir) if given.tls_dir else None,
        certificate_lifetime=_duration(given.certificate_lifetime, option="--certificate-lifetime"),
        ca_lifetime=_duration(given.ca_lifetime, option="--ca-lifetime"),
        ca_overlap=_duration(given.ca_overlap, option="--ca-overlap"),
        relist_interval=_seconds(given.relist_interval, option="--relist-interval"),
        drain=_duration(given.drain, option="--drain", least=0),
        log_level=_log_level(given.log_level),
    )
    if settings.ca_lifetime < settings.certificate_lifetime:
        raise SettingsError("--ca-lifetime is shorter than --certificate-lifetime; a CA must outlive what it signs")
    return settings


def _add_webhook_options(option: Callable[..., None]) -> None:
    option(
        "webhook-listen",
        default="",
        metavar="HOST:PORT",
        explain="where the admission webhooks are served (default: they are not)",
    )
    option(
        "webhook-configurations",
        default="",
        metavar="KIND/NAME,…",
        explain="the configurations whose caBundle is kept equal to the operator's, such as "
        "mutatingwebhookconfigurations/pointsman (default: none)",
    )
    option(
        "sidecar-image",
        default="",
        metavar="IMAGE",
        explain="the image of the sidecars that pods are given (default: pods are not taken)",
    )
    option("sidecar-operator", default="", metavar="HOST:PORT", explain="where sidecars reach the operator")
    option(
        "sidecar-pull-policy",
        default="IfNotPresent",
        metavar="POLICY",
        explain=f"one of {', '.join(PULL_POLICIES)} (default IfNotPresent)",
    )
    option(
        "sidecar-cpu",
        default="50m/1",
        metavar="REQUEST/LIMIT",
        explain="a sidecar's CPU, or one amount for both (default 50m/1)",
    )
    option(
        "sidecar-memory",
        default="128Mi/256Mi",
        metavar="REQUEST/LIMIT",
        explain="a sidecar's memory, or one amount for both (default 128Mi/256Mi)",
    )
    option(
        "sidecar-after",
        default="",
        metavar="NAME,…",
        explain="init containers that a sidecar starts after where a pod has them, such as istio-proxy (default: none)",
    )


def _add_replica_options(option: Callable[..., None]) -> None:
    option(
        "lease",
        default="",
        metavar="NAME",
        explain="the Lease, in the operator's namespace, by which several replicas elect the one that writes statuses "
        "(default: none; this operator is the only one)",
    )
    option(
        "lease-duration",
        default="15s",
        metavar="DURATION",
        explain="how long after its holder was last heard of the Lease is another's to take (default 15s)",
    )
    option(
        "replica",
        default="",
        metavar="NAME",
        explain="what this replica calls itself in the Lease (default: this host's name)",
    )
    option("advertise", default="", metavar="HOST:PORT", explain="where the other replicas reach this one's --listen")
    option(
        "replica-token-file",
        default="",
        metavar="FILE",
        explain="a token of the operator's service account for the audience AUDIENCE/replica, by which the other "
        "replicas know this one",
    )


def _ledger(given: argparse.Namespace) -> RedisEndpoint | None:
    try:
        return read_ledger(given)
    except RedisUrlError as error:
        raise SettingsError(f"--ledger-redis-url: {error}") from error


def _replicas(given: argparse.Namespace) -> ReplicaSettings | None:
    rest = {"--advertise": given.advertise, "--replica-token-file": given.replica_token_file}
    if not given.lease:
        if needless := [option for option, value in rest.items() if value]:
            raise SettingsError(f"{needless[0]} does nothing without --lease; name the Lease, or leave it out")
        return None
    if given.insecure_claimed_identity:
        raise SettingsError("--lease needs replicas that prove who they are; leave out --insecure-claimed-identity")
    for option, value in rest.items():
        if not value:
            raise SettingsError(
                f"{option} is missing, without which replicas cannot reach each other; --lease needs it"
            )
    if not _LEASE.fullmatch(given.lease):
        raise SettingsError(f"--lease is {given.lease!r}, which cannot be the name of a Lease")
    duration = _duration(given.lease_duration, option="--lease-duration")
    if duration < _SHORTEST_LEASE:
        raise SettingsError("--lease-duration is shorter than 5s, within which a holder could not be sure to renew it")
    return ReplicaSettings(
        lease=given.lease,
        lease_duration=duration,
        name=given.replica or socket.gethostname(),
        advertise=_address(given.advertise, option="--advertise"),
        token_file=Path(given.replica_token_file),
    )


def _webhooks(given: argparse.Namespace) -> WebhookSettings | None:
    sidecar = _sidecar(given) if given.sidecar_image else None
    configurations = _names(given.webhook_configurations)
    for configuration in configurations:
        if not _CONFIGURATION.fullmatch(configuration):
            raise SettingsError(
                f"--webhook-configurations has {configuration!r}; write for example "
                "mutatingwebhookconfigurations/pointsman, several with commas"
            )
    if not given.webhook_listen:
        if sidecar or configurations:
            raise SettingsError(
                "--webhook-listen is missing, without which --sidecar-image and --webhook-configurations do nothing; "
                "write for example --webhook-listen=0.0.0.0:8443"
            )
        return None
    listen = _address(given.webhook_listen, option="--webhook-listen")
    return WebhookSettings(listen=listen, configurations=configurations, sidecar=sidecar)


def _sidecar(given: argparse.Namespace) -> SidecarSettings:
    if not given.sidecar_operator:
        raise SettingsError(
            "--sidecar-operator is missing; write where sidecars reach the operator, such as "
            "pointsman.pointsman-system.svc:9443"
        )
    if given.sidecar_pull_policy not in PULL_POLICIES:
        raise SettingsError(
            f"--sidecar-pull-policy is {given.sidecar_pull_policy!r}; write one of {', '.join(PULL_POLICIES)}"
        )
    return SidecarSettings(
        image=given.sidecar_image,
        pull_policy=given.sidecar_pull_policy,
        audience=given.audience,
        operator=str(_address(given.sidecar_operator, option="--sidecar-operator")),
        cpu=_allowance(given.sidecar_cpu, CPU, option="--sidecar-cpu"),
        memory=_allowance(given.sidecar_memory, MEMORY, option="--sidecar-memory"),
        after=_names(given.sidecar_after),
    )


def _allowance(text: str, resource: Resource, *, option: str) -> Allowance:
    try:
        return read_allowance(text, resource)
    except AllowanceError as error:
        raise SettingsError(f"{option}: {error}") from error


def _names(text: str) -> tuple[str, ...]:
    return tuple(name for name in (each.strip() for each in text.split(",")) if name)


def own_namespace(file: Path) -> str:
    """The pod's namespace; without a pod, the usual one."""
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


def _service(text: str) -> str:
    if not _NAMESPACE.fullmatch(text):
        raise SettingsError(f"--service is {text!r}, which cannot be the name of a Service")
    return text


def _duration(text: str, *, option: str, least: int = 1) -> timedelta:
    matched = _DURATION.fullmatch(text)
    if not matched or int(matched[1]) < least:
        raise SettingsError(f"{option} is {text!r}; write a number with s, m, h or d, such as 24h")
    return timedelta(**{_UNITS[matched[2]]: int(matched[1])})


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
