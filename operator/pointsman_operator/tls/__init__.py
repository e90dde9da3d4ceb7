"""The operator's certificates: made, exchanged before they end, and served without a restart.

Deciding is pure: `rotation` says, from what the Secret holds and what time it is, which authorities there should be.
`certificates` makes and reads them and knows no clock of its own. `ServingCertificates` is what listeners hold; one of
`OwnAuthority` (a Secret that the replicas share) and `MountedCertificates` (a folder that something else fills) keeps
it up to date. No key is logged, and none but the authority's own ever leaves the process.

    certificates = ServingCertificates()
    certificates.grpc_credentials()              # for add_secure_port; each new connection gets the latest
    certificates.ssl_context                     # for aiohttp; reloaded in place
    certificates.ca_bundle                       # PEM: what clients, webhooks and sidecars must trust
    certificates.on_change(callback)             # called after each change, and never for nothing
"""

from pointsman_operator.tls.authority import AuthorityError, OwnAuthority
from pointsman_operator.tls.certificates import CertificateError, KeyPair
from pointsman_operator.tls.mounted import MountedCertificates
from pointsman_operator.tls.rotation import Plan
from pointsman_operator.tls.secrets import NAME as CA_SECRET
from pointsman_operator.tls.secrets import SecretConflictError, SecretUnavailableError
from pointsman_operator.tls.serving import ServingCertificates

__all__ = [
    "CA_SECRET",
    "AuthorityError",
    "CertificateError",
    "KeyPair",
    "MountedCertificates",
    "OwnAuthority",
    "Plan",
    "SecretConflictError",
    "SecretUnavailableError",
    "ServingCertificates",
]
