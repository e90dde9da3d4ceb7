"""The webhooks over HTTPS: bodies in, answers out, counted and timed."""

import asyncio
import ssl
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from http import HTTPStatus
from typing import Final, Protocol

import structlog
from aiohttp import web

from pointsman_operator.admission.metrics import AdmissionMetrics
from pointsman_operator.admission.mutating import mutate
from pointsman_operator.admission.outcomes import Outcome
from pointsman_operator.admission.reviews import MalformedReviewError, Review, read_review
from pointsman_operator.admission.validating import validate
from pointsman_operator.inject import INJECT_LABEL, SidecarSettings
from pointsman_operator.settings import Address
from pointsman_operator.world import World

log = structlog.get_logger(__name__)

BY_POD_PATH: Final = "/mutate-pods/by-pod"
BY_NAMESPACE_PATH: Final = "/mutate-pods/by-namespace"
VALIDATE_PATH: Final = "/validate"

# An object and the one before it, of the largest that the API server takes.
_LARGEST_BODY: Final = 8 * 1024 * 1024
# As long as the API server waits where it does not say; it says so in each request's query.
_LONGEST_SECONDS: Final = 10
_STOPS_SECONDS: Final = 5.0
# Longer than the API server keeps a connection that it does not use, so that it is never the one to be surprised.
_KEEPALIVE_SECONDS: Final = 180.0


class Certificates(Protocol):
    """What the server shows, and what its callers and the sidecars must trust."""

    @property
    def ssl_context(self) -> ssl.SSLContext:
        """The context, always the same: its certificate is exchanged in place."""

    @property
    def ca_bundle(self) -> bytes:
        """PEM; empty while there is no certificate yet."""

    def on_change(self, callback: Callable[[], None]) -> None:
        """Have the callback called after each change."""


class AdmissionServer:
    """Without `sidecar` settings, pods are not taken."""

    def __init__(
        self,
        *,
        certificates: Certificates,
        sidecar: SidecarSettings | None,
        world: Callable[[], World],
        metrics: AdmissionMetrics,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._certificates = certificates
        self._metrics = metrics
        self._clock = clock
        self._listening = False
        app = web.Application(client_max_size=_LARGEST_BODY)
        app.router.add_post(VALIDATE_PATH, self._webhook("validate", lambda review: validate(review, world=world())))
        if sidecar is not None:
            # Which of the two it was is the API server's word, and newer than what our own watch knows of a namespace.
            for path, namespace_labels in ((BY_POD_PATH, {}), (BY_NAMESPACE_PATH, {INJECT_LABEL: "true"})):
                app.router.add_post(path, self._webhook("inject", self._injection(sidecar, namespace_labels)))
        self._runner = web.AppRunner(
            app, access_log=None, shutdown_timeout=_STOPS_SECONDS, keepalive_timeout=_KEEPALIVE_SECONDS
        )

    async def start(self, address: Address) -> Address:
        """Listen, and return the address that it really is. Raise OSError if it cannot be had."""
        await self._runner.setup()
        site = web.TCPSite(self._runner, address.host, address.port, ssl_context=self._certificates.ssl_context)
        await site.start()
        self._listening = True
        return Address(host=address.host, port=self._runner.addresses[0][1])

    def problem(self) -> str | None:
        """Why reviews are not answered now, if they are not."""
        if not self._listening:
            return "the webhooks are not served"
        return None if self._certificates.ca_bundle else "the webhooks have no certificate yet"

    async def stop(self) -> None:
        """Answer what has come, and close."""
        self._listening = False
        await self._runner.cleanup()

    def _injection(self, sidecar: SidecarSettings, namespace_labels: Mapping[str, str]) -> Callable[[Review], Outcome]:
        def decide(review: Review) -> Outcome:
            settings = replace(sidecar, operator_ca=self._certificates.ca_bundle.decode())
            return mutate(review, namespace_labels=namespace_labels, sidecar=settings)

        return decide

    def _webhook(
        self, name: str, decide: Callable[[Review], Outcome]
    ) -> Callable[[web.Request], Awaitable[web.Response]]:
        async def handle(request: web.Request) -> web.Response:
            began = self._clock()
            verdict, response = await _handled(request, name, decide)
            self._metrics.admissions.labels(webhook=name, verdict=verdict).inc()
            self._metrics.seconds.labels(webhook=name).observe(self._clock() - began)
            return response

        return handle


async def _handled(request: web.Request, name: str, decide: Callable[[Review], Outcome]) -> tuple[str, web.Response]:
    try:
        async with asyncio.timeout(_seconds(request.query.get("timeout", ""))):
            review = read_review(await request.read())
        outcome = decide(review)
    except MalformedReviewError as error:
        return "malformed", _refusal(HTTPStatus.BAD_REQUEST, str(error))
    except web.HTTPRequestEntityTooLarge:
        sentence = f"the review is larger than {_LARGEST_BODY} bytes"
        return "malformed", _refusal(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, sentence)
    except TimeoutError:
        return "malformed", _refusal(HTTPStatus.REQUEST_TIMEOUT, "the review did not arrive within its own timeout")
    except Exception:
        log.exception("a review cannot be answered by a mistake of the operator's own; please report it", webhook=name)
        sentence = "the operator made a mistake, which its log describes"
        return "failed", _refusal(HTTPStatus.INTERNAL_SERVER_ERROR, sentence)
    log.debug("answered", webhook=name, verdict=outcome.verdict, object=str(review))
    return outcome.verdict, web.json_response(outcome.answer)


def _refusal(status: HTTPStatus, sentence: str) -> web.Response:
    return web.Response(status=status, text=f"{sentence}\n")


def _seconds(text: str) -> float:
    number = text.removesuffix("s")
    return min(int(number), 30) if number.isascii() and number.isdecimal() else _LONGEST_SECONDS
