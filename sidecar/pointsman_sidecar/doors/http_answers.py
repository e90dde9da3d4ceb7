"""What the HTTP door answers to those who ask for no completion."""

from aiohttp import web

from pointsman_sidecar.contract import json
from pointsman_sidecar.contract.errors import CompletionError
from pointsman_sidecar.doors.openai_errors import error_body, error_headers, status_of

_JSON = "application/json"


def document(body: object) -> web.Response:
    """What was asked for."""
    return web.Response(body=json.encode(body), content_type=_JSON)


def refused(error: CompletionError) -> web.Response:
    """Why there is none, in OpenAI's shape."""
    return web.Response(
        status=status_of(error.kind, error.reason).status,
        body=json.encode(error_body(error)),
        content_type=_JSON,
        headers=error_headers(error),
    )
