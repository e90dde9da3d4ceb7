"""Tells the API server whom to trust: the caBundle in the webhook configurations, kept equal to ours."""

import asyncio
import base64
import contextlib
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any, Final, Protocol

import structlog

from pointsman_operator.admission.metrics import AdmissionMetrics
from pointsman_operator.admission.server import Certificates
from pointsman_operator.watch import ClusterError

log = structlog.get_logger(__name__)

_PREFIX: Final = "/apis/admissionregistration.k8s.io/v1/"
# Whoever applies a configuration anew, as an upgrade may, takes the bundle out of it.
INTERVAL_SECONDS: Final = 60.0
FIRST_RETRY_SECONDS: Final = 0.5
LAST_RETRY_SECONDS: Final = 10.0


class Caller(Protocol):
    """Makes calls to the API server; raises ClusterError where one fails."""

    async def ask(self, method: str, path: str, *, body: Mapping[str, Any] | None = None) -> Any:
        """Make one, and return its answer."""


class CaBundles:
    """`configurations` are the ends of paths, such as `mutatingwebhookconfigurations/pointsman`.

    Every replica does this: each reads first, and writes what differs under the version that it has read.
    """

    def __init__(
        self,
        caller: Caller,
        *,
        configurations: Sequence[str],
        certificates: Certificates,
        metrics: AdmissionMetrics,
        interval: float = INTERVAL_SECONDS,
    ) -> None:
        self._caller = caller
        self._configurations = configurations
        self._certificates = certificates
        self._metrics = metrics
        self._interval = interval
        self._changed = asyncio.Event()
        self._said: dict[str, str] = {}
        certificates.on_change(self._changed.set)

    async def run(self) -> None:
        """Write now, whenever the bundle changes, and now and then, until cancelled."""
        retry = FIRST_RETRY_SECONDS
        while True:
            self._changed.clear()
            done = [await self._bring_up_to_date(each) for each in self._configurations]
            if all(done):
                wait, retry = self._interval, FIRST_RETRY_SECONDS
            else:
                wait, retry = retry, min(retry * 2, LAST_RETRY_SECONDS)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(wait):
                    await self._changed.wait()

    async def _bring_up_to_date(self, configuration: str) -> bool:
        if not self._certificates.ca_bundle:
            return True  # there will be a change
        try:
            written = await self._write(configuration)
        except ClusterError as error:
            # Somebody else wrote meanwhile, perhaps the very same: look again soon.
            if error.status != HTTPStatus.CONFLICT:
                self._metrics.ca_bundles.labels(result="failed").inc()
                self._warn(configuration, str(error))
            return False
        self._said.pop(configuration, None)
        if written:
            self._metrics.ca_bundles.labels(result="done").inc()
            log.info("wrote the caBundle", configuration=configuration)
        return True

    async def _write(self, configuration: str) -> bool:
        path = _PREFIX + configuration
        found = await self._caller.ask("GET", path)
        there = found.get("webhooks") or []
        bundle = base64.b64encode(self._certificates.ca_bundle).decode()
        # A merge patch replaces a list as a whole, so all that else stands in it is written back as it was.
        wanted = [{**each, "clientConfig": {**each["clientConfig"], "caBundle": bundle}} for each in there]
        if wanted == there:
            return False
        version = {"resourceVersion": found["metadata"]["resourceVersion"]}
        await self._caller.ask("PATCH", path, body={"metadata": version, "webhooks": wanted})
        return True

    def _warn(self, configuration: str, error: str) -> None:
        if self._said.get(configuration) != error:
            self._said[configuration] = error
            log.warning(
                "the API server cannot be told to trust our webhooks; will be tried again",
                configuration=configuration,
                error=error,
            )
