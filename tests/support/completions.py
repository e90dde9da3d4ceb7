"""Builders of requests, as an app sends them."""

from typing import Any

from pointsman_api.v1 import completions_pb2


def text(content: str) -> completions_pb2.ContentPart:
    """A part of text."""
    return completions_pb2.ContentPart(text=content)


def said(*parts: str | completions_pb2.ContentPart) -> completions_pb2.Message:
    """What a user says."""
    content = [text(part) if isinstance(part, str) else part for part in parts]
    return completions_pb2.Message(role=completions_pb2.ROLE_USER, content=content)


def ask(*parts: str | completions_pb2.ContentPart, **fields: Any) -> completions_pb2.CompleteRequest:
    """A request of one user message; `fields` are the request's other fields."""
    return completions_pb2.CompleteRequest(messages=[said(*(parts or ("What is 2 + 2?",)))], **fields)


def tool(name: str = "get_weather", *, schema: bytes = b"", **fields: Any) -> completions_pb2.Tool:
    """A function that the model may call."""
    return completions_pb2.Tool(name=name, parameters_json_schema=schema, **fields)
