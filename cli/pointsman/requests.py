"""A request from the options of a command."""

import mimetypes
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from pointsman.errors import UserError
from pointsman_api.v1 import completions_pb2, types_pb2

_SEVERITIES = {
    "low": types_pb2.SEVERITY_LOW,
    "medium": types_pb2.SEVERITY_MEDIUM,
    "high": types_pb2.SEVERITY_HIGH,
    "critical": types_pb2.SEVERITY_CRITICAL,
}
_SCHEMES = ("https://", "http://", "data:")


@dataclass(frozen=True, kw_only=True, slots=True)
class Options:
    """A request in the words of the command line. Metadata is written `key=value`."""

    prompt: str
    system: str = ""
    model: str = ""
    user: str = ""
    session: str = ""
    severity: str = ""
    metadata: Sequence[str] = ()
    tools: Sequence[str] = ()
    response_format: str = "text"
    images: Sequence[str] = ()
    recordings: Sequence[Path] = ()
    max_tokens: int | None = None


def build(options: Options) -> completions_pb2.CompleteRequest:
    """The request. Reads the files that it names.

    Raises:
        UserError: an option is wrong, or a file cannot be read.
    """
    try:
        return _request(options)
    except UnicodeEncodeError as error:
        raise UserError("an option holds bytes that are no UTF-8 text") from error


def headers_of(lines: Sequence[str]) -> Mapping[str, str]:
    """Headers that are written `name: value`, by their names in lower case.

    Raises:
        UserError: one is not written so.
    """
    headers: dict[str, str] = {}
    for line in lines:
        name, colon, value = line.partition(":")
        if not (name.strip() and colon):
            raise UserError(f"--header {line} is no header: write 'name: value'")
        headers.setdefault(name.strip().lower(), value.strip())
    return headers


def moment(text: str) -> float:
    """A moment in seconds since 1970; without an offset, it is UTC's.

    Raises:
        UserError: it is none.
    """
    try:
        found = datetime.fromisoformat(text)
    except ValueError as error:
        raise UserError(f"--at {text} is no time: write one such as 2026-03-02T18:30+01:00") from error
    return (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()


def _format(name: str) -> completions_pb2.ResponseFormat | None:
    if name == "text":
        return None
    if name == "json_object":
        return completions_pb2.ResponseFormat(json_object=completions_pb2.JsonObjectFormat())
    if name == "json_schema":
        schema = completions_pb2.JsonSchemaFormat(name="answer", json_schema=b"{}")
        return completions_pb2.ResponseFormat(json_schema=schema)
    raise UserError(f"--response-format {name} is not known: write text, json_object or json_schema")


def _request(options: Options) -> completions_pb2.CompleteRequest:
    if options.severity and options.severity.lower() not in _SEVERITIES:
        raise UserError(f"--severity {options.severity} is not known: write {', '.join(_SEVERITIES)}")
    messages = [_message(completions_pb2.ROLE_SYSTEM, options.system)] if options.system else []
    user = _message(completions_pb2.ROLE_USER, options.prompt)
    user.content.extend(_image(image) for image in options.images)
    user.content.extend(_recording(path) for path in options.recordings)
    return completions_pb2.CompleteRequest(
        messages=[*messages, user],
        model=options.model,
        max_tokens=options.max_tokens,
        tools=[completions_pb2.Tool(name=name) for name in options.tools],
        response_format=_format(options.response_format),
        hints=completions_pb2.RoutingHints(
            user=options.user,
            session=options.session,
            severity=_SEVERITIES.get(options.severity.lower(), types_pb2.SEVERITY_UNSPECIFIED),
            metadata=dict(_pair(each) for each in options.metadata),
        ),
    )


def _message(role: completions_pb2.Role.ValueType, text: str) -> completions_pb2.Message:
    return completions_pb2.Message(role=role, content=[completions_pb2.ContentPart(text=text)] if text else [])


def _pair(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not key or not equals:
        raise UserError(f"--metadata {text} is no entry: write key=value")
    return key, value


def _image(image: str) -> completions_pb2.ContentPart:
    if image.startswith(_SCHEMES):
        return completions_pb2.ContentPart(image=completions_pb2.ImagePart(url=image))
    media_type = mimetypes.guess_type(image)[0] or ""
    if not media_type.startswith("image/"):
        raise UserError(f"--image {image} is no picture by its name: give a .png, .jpg, .gif or .webp, or a URL")
    return completions_pb2.ContentPart(image=completions_pb2.ImagePart(data=_bytes(Path(image)), media_type=media_type))


def _recording(path: Path) -> completions_pb2.ContentPart:
    format_ = path.suffix.removeprefix(".").lower()
    return completions_pb2.ContentPart(audio=completions_pb2.AudioPart(data=_bytes(path), format=format_))


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}") from error
