"""Whether a model can serve a request at all, and why not."""

from pointsman_sidecar.routing.costs import Usage
from pointsman_sidecar.routing.features import Features
from pointsman_sidecar.routing.policy import Feature, Model


def output_cap(model: Model, features: Features, *, policy_cap: int | None) -> int | None:
    """The most tokens that the answer may have, as it is sent to the provider; None leaves it to the model."""
    asked = features.max_output_tokens
    if asked is None or (policy_cap is not None and policy_cap < asked):
        asked = policy_cap
    return None if asked is None else min(asked, model.max_output_tokens)


def incapability(model: Model, features: Features, *, policy_cap: int | None) -> str | None:
    """A sentence on what the model lacks for the request; None where it can serve it."""
    embeds = Feature.EMBEDDINGS in features.needs
    if Feature.EMBEDDINGS in model.features and not embeds:
        return "it gives embeddings and no answers"
    if deaf := features.modalities - model.input_modalities:
        return f"it does not take in {' or '.join(sorted(deaf))}"
    if lacks := features.needs - model.features:
        return f"it does not support {' or '.join(sorted(lacks))}"
    written = 0 if embeds else output_cap(model, features, policy_cap=policy_cap) or 1
    needed = features.estimated_input_tokens + written
    if needed > model.context_window:
        return f"the request needs about {needed:,} tokens and its context window is {model.context_window:,}"
    return None


def most_usage(model: Model, features: Features, *, policy_cap: int | None) -> Usage:
    """The most that a call to the model may be charged for: the estimated input, and every answer at its longest."""
    written = most_output(model, features, policy_cap=policy_cap)
    return Usage(input_tokens=features.estimated_input_tokens, output_tokens=written)


def most_output(model: Model, features: Features, *, policy_cap: int | None) -> int:
    """The most tokens that all answers of a call come to."""
    if features.needs and Feature.EMBEDDINGS in features.needs:
        return 0
    return (output_cap(model, features, policy_cap=policy_cap) or model.max_output_tokens) * features.answers
