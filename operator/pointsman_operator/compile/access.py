"""Which providers a namespace's sidecars may call, and with what."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from pointsman_api.v1 import control_pb2 as control
from pointsman_operator.compile.providers import allows, api_key, auth_for, check_provider
from pointsman_operator.resources.metadata import Key
from pointsman_operator.resources.objects import Secret
from pointsman_operator.resources.problem import Problem
from pointsman_operator.resources.provider import ModelProvider
from pointsman_operator.resources.unreadable import Unreadable

NO_KEY_FOR_NAMESPACE = "NoKeyForNamespace"


@dataclass(frozen=True, kw_only=True)
class Access:
    """What is granted, and why some of it is not. The update holds credentials: it is never printed."""

    update: control.AccessUpdate = field(repr=False)
    problems: tuple[Problem, ...]


def grant_access(
    provider_names: Iterable[str],
    *,
    providers: Mapping[Key, ModelProvider | Unreadable],
    namespace: str,
    namespace_labels: Mapping[str, str],
    secrets: Mapping[Key, Secret],
    secrets_namespace: str,
) -> Access:
    """Grant each of these providers that exists, allows the namespace now, and has a key for it or needs none.

    This asks what is true now and not what a snapshot was made of, so that a withdrawal reaches sidecars at once even
    while the snapshot that they have stays in force. Providers that are gone or not allowed are no problem here: the
    policy that names them does not compile, and says so.
    """
    granted: list[control.ProviderAccess] = []
    problems: list[Problem] = []
    for name in sorted(set(provider_names)):
        provider = providers.get(Key("", name))
        if not isinstance(provider, ModelProvider) or check_provider(provider):
            continue
        if not allows(provider, namespace_labels):
            continue
        key = _key(provider, namespace=namespace, secrets=secrets, secrets_namespace=secrets_namespace)
        if isinstance(key, Problem):
            problems.append(key)
        else:
            granted.append(control.ProviderAccess(provider=name, api_key=key))
    return Access(update=control.AccessUpdate(providers=granted), problems=tuple(problems))


def _key(
    provider: ModelProvider, *, namespace: str, secrets: Mapping[Key, Secret], secrets_namespace: str
) -> str | Problem:
    if not provider.spec.auth:
        return ""
    name = provider.metadata.name
    auth = auth_for(provider, namespace)
    if auth is None:
        return Problem(
            path=f"ModelProvider {name}",
            reason=NO_KEY_FOR_NAMESPACE,
            message=f"no entry of spec.auth is for namespace {namespace}; add one for it, or one without namespaces",
        )
    return api_key(
        auth.secret_key_ref,
        secrets=secrets,
        secrets_namespace=secrets_namespace,
        path=f"ModelProvider {name}",
    )
