"""The one way to refuse: an error in OpenAI's shape. What is refused, and why, is decided elsewhere."""

from typing import Any

Json = dict[str, Any]


class ApiError(Exception):
    """Ends a request with this status and this body; the server turns it into an HTTP answer."""

    def __init__(
        self,
        message: str,
        *,
        status: int = 400,
        kind: str = "invalid_request_error",
        param: str | None = None,
        code: str | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.status = status
        self.kind = kind
        self.param = param
        self.code = code

    def body(self) -> Json:
        """The JSON document that OpenAI's clients read errors from."""
        return {
            "error": {"message": self.message, "type": self.kind, "param": self.param, "code": self.code},
        }


# What OpenAI says with a status when nothing more is known: its `type` and its `code`.
_BY_STATUS: dict[int, tuple[str, str | None]] = {
    401: ("invalid_request_error", "invalid_api_key"),
    403: ("invalid_request_error", "unsupported_country_region_territory"),
    404: ("invalid_request_error", "model_not_found"),
    429: ("requests", "rate_limit_exceeded"),
}

_FIRST_SERVER_ERROR = 500


def error_of_status(status: int, *, message: str, code: str | None = None) -> ApiError:
    """An error as OpenAI would word it for this status; `code` replaces the usual one."""
    usual = ("server_error", None) if status >= _FIRST_SERVER_ERROR else ("invalid_request_error", None)
    kind, usual_code = _BY_STATUS.get(status, usual)
    return ApiError(message, status=status, kind=kind, code=code or usual_code)


def wrong_type(param: str, *, expected: str, got: object) -> ApiError:
    """A parameter of the wrong JSON type."""
    return ApiError(
        f"Invalid type for '{param}': expected {expected}, but got {_json_type(got)} instead.",
        param=param,
        code="invalid_type",
    )


def wrong_value(param: str, *, expected: str) -> ApiError:
    """A parameter of the right type whose value is not allowed."""
    return ApiError(f"Invalid value for '{param}': expected {expected}.", param=param, code="invalid_value")


def missing(param: str) -> ApiError:
    """A parameter that must be there."""
    return ApiError(f"Missing required parameter: '{param}'.", param=param, code="missing_required_parameter")


def _json_type(value: object) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return "a boolean"
        case int() | float():
            return "a number"
        case str():
            return "a string"
        case list():
            return "an array"
        case _:
            return "an object"
