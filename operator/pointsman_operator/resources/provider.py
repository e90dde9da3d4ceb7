"""ModelProvider, as crds/modelproviders.pointsman.dev.yaml defines it.

Defaults stand in the CRD alone: the API server fills them in, and so does whoever reads a file.
"""

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field

from pointsman_operator.resources.base import Model, NarrowingModel
from pointsman_operator.resources.metadata import Metadata
from pointsman_operator.resources.selector import LabelSelector


class SecretKeyRef(Model):
    """A key of a Secret in the operator's namespace."""

    name: str
    key: str


class KeyNamespaces(NarrowingModel):
    """The namespaces that a key is for."""

    match_names: tuple[str, ...] = Field(strict=False)


class Auth(NarrowingModel):
    """An API key, and whom it is for."""

    secret_key_ref: SecretKeyRef
    namespaces: KeyNamespaces | None = None

    def fits(self, namespace: str) -> bool:
        """Whether the key is for this namespace."""
        return self.namespaces is None or namespace in self.namespaces.match_names


class AllowedNamespaces(NarrowingModel):
    """The namespaces that may use a provider."""

    from_: Literal["All", "Selector"] = Field(alias="from")
    selector: LabelSelector | None = None


class Price(Model):
    """Money per 1,000,000 tokens, in decimal strings."""

    currency: str
    input: str
    cached_input: str | None = None
    output: str


class OfferedModel(Model):
    """A model that a provider serves."""

    name: str
    price: Price
    context_window: int
    max_output_tokens: int
    input_modalities: tuple[Literal["Text", "Image", "Audio"], ...] = Field(strict=False)
    features: tuple[Literal["Tools", "JSONSchema", "Logprobs", "Embeddings"], ...] = Field(strict=False)


class RateLimit(Model):
    """What all sidecars together may send in a minute."""

    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None


class ModelProviderSpec(Model):
    """What the platform team declares."""

    type: Literal["OpenAI"]
    base_url: str = Field(alias="baseURL")
    auth: tuple[Auth, ...] = Field(default=(), strict=False)
    allowed_namespaces: AllowedNamespaces
    rate_limit: RateLimit | None = None
    models: tuple[OfferedModel, ...] = Field(strict=False)


class ModelProvider(Model):
    """An endpoint, who may use it, and its models."""

    metadata: Metadata
    spec: ModelProviderSpec
    status: Mapping[str, Any] = Field(default_factory=dict)
