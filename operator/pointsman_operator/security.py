"""What proves who is who, put together from the settings: the operator's certificates, and the sidecars' identities."""

import random
import time
from datetime import UTC, datetime

import structlog

from pointsman_operator.identity import IdentityMetrics, Pacer, Presence, ProvenIdentity, Reviewer
from pointsman_operator.push import ClaimedIdentity, Hub, Identifier
from pointsman_operator.resources import Key, Pod
from pointsman_operator.settings import Settings
from pointsman_operator.tls import CA_SECRET, MountedCertificates, OwnAuthority, Plan, ServingCertificates
from pointsman_operator.watch import Cluster, ClusterProofs, OwnSecrets

log = structlog.get_logger(__name__)


def certificates(
    settings: Settings, *, serving: ServingCertificates, hub: Hub, cluster: Cluster
) -> OwnAuthority | MountedCertificates:
    """What keeps `serving` up to date; sidecars are told of each other CA."""
    serving.on_change(lambda: hub.trust(serving.ca_bundle))
    if settings.tls_dir is not None:
        return MountedCertificates(serving, folder=settings.tls_dir)
    authority = OwnAuthority(
        serving,
        secrets=OwnSecrets(cluster, namespace=settings.namespace),
        namespace=settings.namespace,
        names=_names(settings.service, settings.namespace),
        plan=Plan(lifetime=settings.ca_lifetime, overlap=settings.ca_overlap),
        leaf_lifetime=settings.certificate_lifetime,
        now=lambda: datetime.now(UTC),
    )
    secret = Key(settings.namespace, CA_SECRET)

    def look() -> None:
        seen = hub.world.secrets.get(secret)
        authority.observe("" if seen is None else seen.metadata.resource_version)

    hub.subscribe(lambda _: look())
    return authority


def identity(
    settings: Settings, *, hub: Hub, cluster: Cluster, metrics: IdentityMetrics
) -> tuple[Identifier, Presence | None]:
    """How sidecars are known, and what looks whether their pods are still there."""
    if settings.insecure_claimed_identity:
        log.warning("sidecars are believed without proof which pod they are in; this is for development only")
        return ClaimedIdentity(), None
    proofs = ClusterProofs(cluster)
    pacer = Pacer(clock=time.monotonic, random=random.random)
    reviewer = Reviewer(proofs, audience=settings.audience, pacer=pacer, metrics=metrics, now=time.time)
    presence = Presence(hub, proofs=proofs, reviewer=reviewer, pacer=pacer, metrics=metrics, random=random.random)

    def known(key: Key) -> Pod | None:
        return hub.world.pods.get(key)

    return ProvenIdentity(reviewer, proofs=proofs, known=known), presence


def _names(service: str, namespace: str) -> tuple[str, ...]:
    within = f"{service}.{namespace}"
    return (service, within, f"{within}.svc", f"{within}.svc.cluster.local", "localhost")
