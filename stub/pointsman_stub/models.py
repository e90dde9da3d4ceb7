"""The models on offer and what each can do. What they answer is in `answers`."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from pointsman_stub.errors import ApiError, Json

# The hidden tokens that a model which reasons spends on each choice, by effort.
REASONING = {"none": 0, "minimal": 0, "low": 64, "medium": 256, "high": 1_024, "xhigh": 1_024, "max": 1_024}

_REASONS = re.compile(r"o\d|gpt-5")
_EMBEDS = re.compile(r"embed")


@dataclass(frozen=True, kw_only=True)
class Model:
    """One model: its limits, and the few abilities in which models differ."""

    id: str
    created: int = 1_700_000_000
    flagship: bool = False
    hears: bool = False
    reasons: bool = False
    embeds: bool = False
    context_window: int = 128_000
    max_output_tokens: int = 16_384

    def body(self) -> Json:
        """The model as `GET /v1/models` lists it."""
        return {"id": self.id, "object": "model", "created": self.created, "owned_by": "pointsman-stub"}


BUILT_IN = (
    Model(id="gpt-4o-mini", created=1_721_172_741),
    Model(id="gpt-4o", created=1_715_367_049, flagship=True, hears=True),
)


def catalogue(extra: Iterable[str] = ()) -> dict[str, Model]:
    """The built-in models and one plain model for each extra name.

    o1, o3, gpt-5 and their like reason; those that are named for it give embeddings, and no answers.
    """
    named = {
        name: Model(id=name, reasons=_REASONS.match(name) is not None, embeds=_EMBEDS.search(name) is not None)
        for name in extra
    }
    return named | {model.id: model for model in BUILT_IN}


def find(models: Mapping[str, Model], name: str) -> Model:
    """The model of that name, or OpenAI's 404."""
    if (model := models.get(name)) is not None:
        return model
    raise ApiError(
        f"The model '{name}' does not exist here; this provider has {', '.join(sorted(models))}.",
        status=404,
        code="model_not_found",
    )
