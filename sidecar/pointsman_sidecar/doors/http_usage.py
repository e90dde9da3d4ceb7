"""How the budgets stand that bind the pod, for apps and people without gRPC."""

from aiohttp import web

from pointsman_sidecar.completing.completions import Completions
from pointsman_sidecar.completing.failures import malformed
from pointsman_sidecar.contract.decision_json import usage_json
from pointsman_sidecar.contract.errors import CompletionError
from pointsman_sidecar.contract.hints import own_headers, read_hints
from pointsman_sidecar.contract.requests import InvalidRequestError
from pointsman_sidecar.doors.http_answers import document, refused


class HttpUsage:
    """The handler."""

    def __init__(self, completions: Completions) -> None:
        self._completions = completions

    async def shown(self, request: web.Request) -> web.Response:
        """GET /v1/pointsman/usage; budgets that each user has, for the one that x-pointsman-user names."""
        try:
            try:
                hints = read_hints(own_headers(request.headers))
            except InvalidRequestError as error:
                raise malformed(error) from error
            usage = await self._completions.usage(hints)
        except CompletionError as error:
            return refused(error)
        return document(usage_json(usage))
