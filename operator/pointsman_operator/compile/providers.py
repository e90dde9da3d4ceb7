"""Providers: whether they are sound, who may use them, and which key is whose."""

from collections.abc import Iterator, Mapping

from pointsman_operator.compile.selectors import matches, selector_problems
from pointsman_operator.resources.metadata import Key
from pointsman_operator.resources.objects import Secret
from pointsman_operator.resources.problem import Problem
from pointsman_operator.resources.provider import Auth, ModelProvider, SecretKeyRef
from pointsman_operator.resources.unreadable import Unreadable

SECRET_NOT_FOUND = "SecretNotFound"  # noqa: S105 - a condition's reason, no secret
SECRET_KEY_NOT_FOUND = "SecretKeyNotFound"  # noqa: S105 - the same
SECRET_INVALID = "SecretInvalid"  # noqa: S105 - the same


def check_provider(provider: ModelProvider | Unreadable) -> tuple[Problem, ...]:
    """What is wrong with the provider's spec that its CRD cannot say."""
    if isinstance(provider, Unreadable):
        return provider.problems
    selector = provider.spec.allowed_namespaces.selector
    if selector is None:
        return ()
    return tuple(selector_problems(selector, path="spec.allowedNamespaces.selector"))


def allows(provider: ModelProvider, namespace_labels: Mapping[str, str]) -> bool:
    """Whether a namespace with these labels may use the provider."""
    allowed = provider.spec.allowed_namespaces
    if allowed.from_ == "All":
        return True
    # Never by silence: a selector that is missing, which the CRD refuses, allows nobody.
    return allowed.selector is not None and matches(allowed.selector, namespace_labels)


def auth_for(provider: ModelProvider, namespace: str) -> Auth | None:
    """The first entry of `auth` that fits the namespace."""
    return next((auth for auth in provider.spec.auth if auth.fits(namespace)), None)


def api_key(
    reference: SecretKeyRef, *, secrets: Mapping[Key, Secret], secrets_namespace: str, path: str
) -> str | Problem:
    """The key that is referred to, or why there is none."""
    where = f"Secret {reference.name} in namespace {secrets_namespace}"
    secret = secrets.get(Key(secrets_namespace, reference.name))
    if secret is None:
        return Problem(path=path, reason=SECRET_NOT_FOUND, message=f"{where} does not exist; create it")
    value = secret.data.get(reference.key)
    if value is None:
        message = f"{where} has no key {reference.key} that is text; add it, or name another key"
        return Problem(path=path, reason=SECRET_KEY_NOT_FOUND, message=message)
    if not value or not value.isascii() or not value.isprintable():
        message = f"{where} holds no usable API key under {reference.key}: one line of ASCII characters is needed"
        return Problem(path=path, reason=SECRET_INVALID, message=message)
    return value


def secret_problems(
    provider: ModelProvider, *, secrets: Mapping[Key, Secret], secrets_namespace: str
) -> Iterator[Problem]:
    """What is wrong with the Secrets that the provider refers to, whichever namespace they are for."""
    for index, auth in enumerate(provider.spec.auth):
        found = api_key(
            auth.secret_key_ref,
            secrets=secrets,
            secrets_namespace=secrets_namespace,
            path=f"spec.auth[{index}].secretKeyRef",
        )
        if isinstance(found, Problem):
            yield found
