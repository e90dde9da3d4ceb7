"""The models of the policy in force, as OpenAI's API lists them."""

from aiohttp import web

from pointsman_sidecar.completing.completions import Completions
from pointsman_sidecar.contract.errors import CompletionError, Kind
from pointsman_sidecar.contract.requests import AUTO
from pointsman_sidecar.doors.http_answers import document, refused
from pointsman_sidecar.routing.policy import Model

_OWNER = "pointsman"


class HttpModels:
    """The handlers."""

    def __init__(self, completions: Completions) -> None:
        self._completions = completions

    async def listed(self, _: web.Request) -> web.Response:
        """GET /v1/models."""
        try:
            models = self._completions.models()
        except CompletionError as error:
            return refused(error)
        named = [_model(AUTO, owner=_OWNER), *(_model(model.name, owner=model.provider) for model in models)]
        return document({"object": "list", "data": named})

    async def shown(self, request: web.Request) -> web.Response:
        """GET /v1/models/{id}, by every name that a request may use: a provider's too."""
        wanted = request.match_info["id"]
        try:
            models = self._completions.models()
            if wanted == AUTO:
                return document(_model(AUTO, owner=_OWNER))
            found = _found(models, wanted)
        except CompletionError as error:
            return refused(error)
        return document(_model(wanted, owner=found.provider))


def _found(models: tuple[Model, ...], wanted: str) -> Model:
    for model in models:
        if wanted in {model.name, model.provider_model}:
            return model
    names = ", ".join([AUTO, *(model.name for model in models)])
    raise CompletionError(Kind.INVALID_ARGUMENT, "UNKNOWN_MODEL", f"there is no model {wanted}; there are {names}")


def _model(name: str, *, owner: str) -> dict[str, object]:
    # A policy does not know when its models were made, and clients want a number.
    return {"id": name, "object": "model", "created": 0, "owned_by": owner}
