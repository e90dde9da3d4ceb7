"""A CA of the operator's own, in a Secret that all replicas share; each replica makes its own server certificate."""

import asyncio
import contextlib
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import structlog

from pointsman_operator.tls import secrets
from pointsman_operator.tls.certificates import CertificateError, KeyPair, make_authority, make_leaf, validity
from pointsman_operator.tls.rotation import Authorities, Plan, Step, next_due, next_step, renewal_of, take
from pointsman_operator.tls.secrets import SecretConflictError, Secrets, SecretUnavailableError
from pointsman_operator.tls.serving import ServingCertificates

log = structlog.get_logger(__name__)

# How late another replica's write may be seen; the overlap is to be much longer.
LONGEST_PAUSE_SECONDS = 60.0
SHORTEST_PAUSE_SECONDS = 0.1
RETRY_SECONDS = 2.0
_TRIES = 10


class AuthorityError(Exception):
    """The Secret holds no CA of ours; the message says what to do."""


class OwnAuthority:
    """Keeps the Secret as `rotation` says, and `serving` with a certificate that it signed.

    A create is what decides between replicas that find no Secret, and the resourceVersion between those that change
    one: who comes second reads what the first has written.
    """

    def __init__(
        self,
        serving: ServingCertificates,
        *,
        secrets: Secrets,
        namespace: str,
        names: Sequence[str],
        plan: Plan,
        leaf_lifetime: timedelta,
        now: Callable[[], datetime],
    ) -> None:
        self._serving = serving
        self._secrets = secrets
        self._namespace = namespace
        self._names = names
        self._plan = plan
        self._leaf_lifetime = leaf_lifetime
        self._now = now
        self._soon = asyncio.Event()
        self._authorities: Authorities | None = None
        self._signer: KeyPair | None = None
        self._leaf: KeyPair | None = None
        self._resource_version = self._observed = ""

    async def start(self) -> None:
        """Return once there is a certificate to serve."""
        pause = await self._look()
        while not self._serving.ready:
            await self._pause(pause)
            pause = await self._look()

    async def run(self) -> None:
        """See to it that there always is a good one, until cancelled."""
        while True:
            await self._pause(await self._look())

    def observe(self, resource_version: str) -> None:
        """The Secret was seen at this version, empty where it is gone: read it now if that is news."""
        if resource_version != self._observed:
            self._observed = resource_version
            if resource_version != self._resource_version:
                self._soon.set()

    async def _look(self) -> float:
        """Do what is due; return the seconds until there is something to do again."""
        self._soon.clear()
        pause = LONGEST_PAUSE_SECONDS
        try:
            await self._agree()
        except (AuthorityError, SecretUnavailableError) as error:
            log.warning("the CA's Secret cannot be used now; will be tried again", error=str(error))
            pause = RETRY_SECONDS
        # Whether or not it could be read: what it held before signs as well.
        if self._authorities is not None:
            self._serve(self._authorities)
        return min(pause, self._until_due())

    async def _pause(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._soon.wait()

    async def _agree(self) -> None:
        """Bring the Secret to where it should be, and know what it holds."""
        for _ in range(_TRIES):
            secret = await self._secrets.read_secret(secrets.NAME)
            known = None if secret is None else self._read(secret)
            step = next_step(known, now=self._now(), plan=self._plan)
            if secret is not None and step is Step.KEEP:
                self._authorities = known
                self._resource_version = secret["metadata"]["resourceVersion"]
                return
            entries = secrets.written(take(step, known, now=self._now(), make=self._make))
            # Who comes second reads again, and finds what the first one wrote.
            with contextlib.suppress(SecretConflictError):
                if secret is None:
                    made = {name: value for name, value in entries.items() if value is not None}
                    await self._secrets.create_secret(secrets.NAME, made)
                else:
                    version = secret["metadata"]["resourceVersion"]
                    await self._secrets.write_secret(secrets.NAME, entries, resource_version=version)
                log.info("the CA's Secret was written", step=step.value)
        raise SecretUnavailableError(f"Secret {secrets.NAME} is being changed by somebody else all the time")

    def _read(self, secret: Mapping[str, Any]) -> Authorities:
        try:
            return secrets.read(secret)
        except CertificateError as error:
            raise AuthorityError(
                f"Secret {secrets.NAME} in namespace {self._namespace} holds no CA of ours: {error}; "
                "delete it to have a new one made"
            ) from error

    def _make(self) -> KeyPair:
        return make_authority(now=self._now(), lifetime=self._plan.lifetime)

    def _serve(self, authorities: Authorities) -> None:
        now = self._now()
        if now >= validity(authorities.signing.certificate).ends:
            log.error("the CA has ended, and no other could be written; clients refuse the certificate")
            return
        if self._leaf is None or self._signer != authorities.signing or now >= renewal_of(self._leaf):
            self._leaf = make_leaf(authorities.signing, names=self._names, now=now, lifetime=self._leaf_lifetime)
            self._signer = authorities.signing
        self._serving.put(self._leaf, ca_bundle=authorities.bundle)

    def _until_due(self) -> float:
        if self._authorities is None or self._leaf is None:
            return LONGEST_PAUSE_SECONDS
        due = min(next_due(self._authorities, plan=self._plan)[0], renewal_of(self._leaf))
        return max((due - self._now()).total_seconds(), SHORTEST_PAUSE_SECONDS)
