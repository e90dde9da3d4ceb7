"""Labels for answers, from apps and people without gRPC."""

import structlog
from aiohttp import web

from pointsman_api.v1 import completions_pb2
from pointsman_sidecar.completing.completions import Completions
from pointsman_sidecar.completing.failures import malformed
from pointsman_sidecar.contract.errors import CompletionError, Kind
from pointsman_sidecar.contract.feedbacks import feedback_json, feedback_of_json
from pointsman_sidecar.contract.hints import own_headers, read_hints
from pointsman_sidecar.contract.json_form import Unread
from pointsman_sidecar.contract.requests import InvalidRequestError
from pointsman_sidecar.doors.bodies import read_body
from pointsman_sidecar.doors.http_answers import document, refused
from pointsman_sidecar.doors.known_errors import known_errors

_MOST_BYTES = 16 * 1024


class HttpFeedback:
    """The handler."""

    def __init__(self, completions: Completions, *, log: structlog.stdlib.BoundLogger) -> None:
        self._completions = completions
        self._log = log

    async def given(self, request: web.Request) -> web.Response:
        """POST /v1/pointsman/feedback."""
        body = await read_body(request, most=_MOST_BYTES)
        try:
            with known_errors(self._log):
                return document(feedback_json(self._completions.feedback(_read(request, body))))
        except CompletionError as error:
            return refused(error)


def _read(request: web.Request, body: bytes | Unread) -> completions_pb2.GiveFeedbackRequest:
    if isinstance(body, Unread):
        shown = f"{body.size:,} bytes{' or more' if body.is_cut else ''}"
        raise CompletionError(
            Kind.INVALID_ARGUMENT,
            "REQUEST_TOO_LARGE",
            f"the body has {shown}: feedback may have {_MOST_BYTES:,}",
        )
    try:
        # Of ours it needs none, but a misspelt one is told.
        read_hints(own_headers(request.headers))
        return feedback_of_json(body)
    except InvalidRequestError as error:
        raise malformed(error) from error
