"""`pointsman run`."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import structlog
from rich.console import Console

from pointsman.calibrations import read_calibration
from pointsman.commands.loading import good
from pointsman.errors import Refusal, UserError
from pointsman.ledgers import StateFolderError
from pointsman.running import SocketError, Standalone, serve
from pointsman.serviceable import keyless, uncompiled
from pointsman.worlds import Generations, Pod, Secret, pod_of, policies_in, world_of
from pointsman_operator.compile import check_quota
from pointsman_operator.quotas import RedisEndpoint
from pointsman_operator.world import World
from pointsman_sidecar.doors.known_errors import AddressInUseError
from pointsman_sidecar.doors.status_page import StatusPageError
from pointsman_sidecar.serving import Served
from pointsman_sidecar.settings import Address
from pointsman_sidecar.telemetry import logs


@dataclass(slots=True)
class _Files:
    """The files as a world, read again and again."""

    paths: tuple[Path, ...]
    namespace: str | None
    secrets: tuple[Secret, ...]
    log: structlog.stdlib.BoundLogger
    _generations: Generations = field(default_factory=Generations)
    _version: int = 0
    _mistakes: tuple[tuple[str, str], ...] = ()

    def read(self) -> World:
        """The world as the files give it now.

        Raises:
            UserError: they cannot be read, or a cluster would refuse them.
        """
        manifests = good(self.paths, namespace=self.namespace)
        self._version += 1
        return world_of(manifests, secrets=self.secrets, generations=self._generations, version=self._version)

    def read_again(self, pod: Pod) -> World | None:
        """The same, of files that are being edited: a mistake in them is reported and changes nothing."""
        world: World | None = None
        try:
            world = self.read()
        except UserError as error:
            mistakes = [("files refused; what was in force stays", str(error))]
        else:
            mistakes = [
                ("policy cannot be programmed; what was in force stays", f"policy {key}: {problems}")
                for key, problems in uncompiled(world).items()
            ]
            mistakes += [("provider cannot be called", problem) for problem in keyless(world, pod)]
            mistakes += _unready_quotas(world)
        self.say(mistakes)
        return world

    def say(self, mistakes: Sequence[tuple[str, str]]) -> None:
        """Log these, an event and a reason each, unless they were there at the last reading too."""
        for event, reason in mistakes:
            # Once: files are read again for any change beside them, and the log may be written there.
            if (event, reason) not in self._mistakes:
                self.log.error(event, reason=reason)
        self._mistakes = tuple(mistakes)


def run(
    files: Sequence[Path],
    *,
    namespace: str | None,
    labels: Mapping[str, str],
    listen: Address,
    http_listen: Address,
    status_listen: Address,
    secrets: Sequence[Secret],
    state_folder: Path | None,
    redis: RedisEndpoint | None,
    calibration: Path | None,
    environment: Mapping[str, str],
    log_level: str,
    out: Console,
) -> None:
    """Serve until SIGTERM or SIGINT.

    Raises:
        UserError: the files or the addresses cannot be used.
    """
    known = None if calibration is None else read_calibration(calibration)
    logs.configure(log_level)
    log: structlog.stdlib.BoundLogger = structlog.get_logger("pointsman.standalone")
    if Path("-") in files:
        raise UserError("run follows its files, and standard input cannot be followed: give files or folders")
    source = _Files(paths=tuple(files), namespace=namespace, secrets=tuple(secrets), log=log)
    world = source.read()
    if failed := uncompiled(world):
        raise Refusal("\n".join(f"policy {key} cannot be programmed: {problems}" for key, problems in failed.items()))
    pod = pod_of(world, namespace=namespace, labels=labels)
    if missing := keyless(world, pod):
        raise UserError(
            "\n".join(missing) + "\nGive a key with --secret NAME/KEY=VARIABLE, by the Secret and key that auth names"
        )
    source.say(_unready_quotas(world))

    def reload() -> World | None:
        return source.read_again(pod)

    def announce(served: Served) -> None:
        out.print(f"pod {pod.name} of namespace {pod.namespace}, labels: {_listed(pod)}")
        if world.quotas or state_folder or redis:
            out.print(_kept(state_folder, redis))
        out.print(f"completions on {served.listen} (gRPC) and http://{served.http_listen}/v1 (OpenAI's API)")
        out.print(f"metrics on http://{served.status_listen}/metrics")

    settings = Standalone(
        files=tuple(files),
        pod=pod,
        listen=listen,
        http_listen=http_listen,
        status_listen=status_listen,
        state_folder=state_folder,
        redis=redis,
        calibration=known,
        environment=environment,
    )
    try:
        asyncio.run(serve(settings, world=world, reload=reload, announce=announce, log=log))
    except (AddressInUseError, SocketError, StateFolderError, StatusPageError) as error:
        raise UserError(str(error)) from error


def _kept(state_folder: Path | None, redis: RedisEndpoint | None) -> str:
    if redis is not None:
        kept = f"what is spent of TokenQuotas is kept in Redis at {redis}"
        return (
            kept if state_folder else f"{kept}; of users' budgets only with --state-dir FOLDER, which keeps their key"
        )
    if state_folder is None:
        return "what is spent of TokenQuotas is forgotten at the end; --state-dir FOLDER keeps it"
    return f"what is spent of TokenQuotas is kept in {state_folder}"


def _unready_quotas(world: World) -> list[tuple[str, str]]:
    """Events and reasons of quotas that hold as far as they can, or bind nobody."""
    return [
        ("quota is not in force as it is written", f"quota {key}: {problem}")
        for key, quota in world.quotas.items()
        for problem in check_quota(quota, providers=world.providers, policies=policies_in(world, key.namespace))
    ]


def _listed(pod: Pod) -> str:
    return ", ".join(f"{key}={value}" for key, value in pod.labels.items()) or "none"
