"""The text of a request that its complexity is told from. Read only where a policy asks for that."""

from collections.abc import Iterator, Mapping

import msgspec

from pointsman_api.v1 import completions_pb2
from pointsman_sidecar.complexity import Turn, prompt_text

_ROLES = {
    completions_pb2.ROLE_SYSTEM: "system",
    completions_pb2.ROLE_DEVELOPER: "developer",
    completions_pb2.ROLE_USER: "user",
    completions_pb2.ROLE_ASSISTANT: "assistant",
    completions_pb2.ROLE_TOOL: "tool",
}


class _Part(msgspec.Struct, gc=False):
    text: str | None = None


class _Message(msgspec.Struct, gc=False):
    role: str = ""
    content: str | list[str | _Part] | None = None


class _Function(msgspec.Struct, gc=False):
    name: str = ""


class _Tool(msgspec.Struct, gc=False):
    function: _Function | None = None


_messages = msgspec.json.Decoder(list[_Message])
_tools = msgspec.json.Decoder(list[_Tool] | None)
_NOTHING = msgspec.Raw(b"null")


def chat_prompt(members: Mapping[str, msgspec.Raw]) -> str:
    """The text of a chat completion's body, by its members."""
    try:
        messages = _messages.decode(members.get("messages", _NOTHING))
        tools = _tools.decode(members.get("tools", _NOTHING)) or ()
    except (msgspec.DecodeError, ValueError, RecursionError):
        # Its messages were read before: this is a tool in a form of its own, which the provider judges.
        return ""
    return prompt_text(
        [Turn(message.role, _text(message.content)) for message in messages],
        tools=[tool.function.name for tool in tools if tool.function is not None],
    )


def request_prompt(request: completions_pb2.CompleteRequest) -> str:
    """The text of a `CompleteRequest`."""
    return prompt_text(
        [Turn(_ROLES.get(message.role, ""), "\n".join(_texts(message))) for message in request.messages],
        tools=[tool.name for tool in request.tools],
    )


def _texts(message: completions_pb2.Message) -> Iterator[str]:
    return (part.text for part in message.content if part.WhichOneof("part") == "text")


def _text(content: str | list[str | _Part] | None) -> str:
    if content is None or isinstance(content, str):
        return content or ""
    return "\n".join(part if isinstance(part, str) else part.text or "" for part in content)
