"""A chat request, read and checked as OpenAI checks it: what is unknown or out of range is refused by name."""

from dataclasses import dataclass

from pointsman_stub.errors import ApiError, Json, missing, wrong_type, wrong_value
from pointsman_stub.fields import array, boolean, integer, mapping, number, string
from pointsman_stub.messages import Message, parse_messages
from pointsman_stub.models import REASONING

# Parameters that the answer depends on.
_READ = frozenset(
    {
        "logprobs",
        "max_completion_tokens",
        "max_tokens",
        "messages",
        "modalities",
        "model",
        "n",
        "parallel_tool_calls",
        "reasoning_effort",
        "response_format",
        "stop",
        "stream",
        "stream_options",
        "tool_choice",
        "tools",
        "top_logprobs",
    }
)
# Parameters that shape a real model's sampling or its operator's books; checked at most, they change nothing here.
_ACCEPTED = frozenset(
    {
        "frequency_penalty",
        "logit_bias",
        "metadata",
        "prediction",
        "presence_penalty",
        "prompt_cache_key",
        "prompt_cache_options",
        "prompt_cache_retention",
        "safety_identifier",
        "seed",
        "service_tier",
        "store",
        "temperature",
        "top_p",
        "user",
        "verbosity",
    }
)
# Parameters that would change the answer in ways not imitated here: refused, rather than passed over.
_NOT_IMITATED = frozenset({"audio", "function_call", "functions", "moderation", "web_search_options"})
# All that OpenAI's chat endpoint takes.
PARAMETERS = _READ | _ACCEPTED | _NOT_IMITATED

_MAX_CHOICES = 128
_MAX_STOPS = 4
_MAX_TOP_LOGPROBS = 20


@dataclass(frozen=True, kw_only=True)
class ToolChoice:
    """Whether tools may (`auto`), must (`required`) or must not (`none`) be called, or the one that must be."""

    mode: str
    name: str | None = None


@dataclass(frozen=True, kw_only=True)
class ChatRequest:
    """What the answer depends on."""

    model: str
    messages: tuple[Message, ...]
    stream: bool
    include_usage: bool
    choices: int
    max_tokens: int | None
    max_tokens_param: str
    stops: tuple[str, ...]
    logprobs: bool
    top_logprobs: int
    tools: tuple[Json, ...]
    tool_choice: ToolChoice
    parallel_tool_calls: bool
    json_mode: bool
    schema: Json | None
    reasoning_effort: str | None

    @property
    def question(self) -> Message:
        """The last user message, which the answer is a function of; without one, the last message."""
        users = [message for message in self.messages if message.role == "user"]
        return (users or list(self.messages))[-1]


def model_name(body: object) -> str:
    """The model that a request names. It is looked up before the rest is read, so that faults can match it."""
    if not isinstance(body, dict):
        raise wrong_type("body", expected="an object", got=body)
    name = body.get("model")
    if name is None:
        raise missing("model")
    if not isinstance(name, str):
        raise wrong_type("model", expected="a string", got=name)
    return name


def parse_request(body: Json) -> ChatRequest:
    """Read a request's body, or raise the error that OpenAI would answer with."""
    unknown = sorted(body.keys() - PARAMETERS)
    if unknown:
        raise ApiError(f"Unknown parameter: '{unknown[0]}'.", param=unknown[0], code="unknown_parameter")
    refused = sorted(name for name in _NOT_IMITATED if body.get(name) is not None)
    if refused:
        raise ApiError(
            f"Unsupported parameter: '{refused[0]}' is not imitated by this provider.",
            param=refused[0],
            code="unsupported_parameter",
        )
    if body.get("modalities") not in (None, ["text"]):
        raise wrong_value("modalities", expected='["text"], for this provider does not speak')
    stream = boolean(body, "stream")
    limits = [name for name in ("max_tokens", "max_completion_tokens") if body.get(name) is not None]
    if len(limits) > 1:
        raise wrong_value("max_tokens", expected="it to be absent where 'max_completion_tokens' is set")
    for name, low, high in (
        ("temperature", 0, 2),
        ("top_p", 0, 1),
        ("frequency_penalty", -2, 2),
        ("presence_penalty", -2, 2),
    ):
        number(body, name, low=low, high=high)
    integer(body, "seed")
    effort = body.get("reasoning_effort")
    if effort is not None and effort not in REASONING:
        raise wrong_value("reasoning_effort", expected=f"one of {', '.join(REASONING)}")
    tools = _tools(body)
    json_mode, schema = _response_format(body)
    return ChatRequest(
        model=model_name(body),
        messages=parse_messages(body.get("messages")),
        stream=stream,
        include_usage=_include_usage(body, stream=stream),
        choices=integer(body, "n", low=1, high=_MAX_CHOICES) or 1,
        max_tokens=integer(body, limits[0], low=1) if limits else None,
        max_tokens_param=limits[0] if limits else "max_tokens",
        stops=_stops(body),
        logprobs=boolean(body, "logprobs"),
        top_logprobs=_top_logprobs(body),
        tools=tools,
        tool_choice=_tool_choice(body, tools=tools),
        parallel_tool_calls=boolean(body, "parallel_tool_calls", default=True),
        json_mode=json_mode,
        schema=schema,
        reasoning_effort=effort,
    )


def _include_usage(body: Json, *, stream: bool) -> bool:
    options = body.get("stream_options")
    if options is None:
        return False
    if not isinstance(options, dict):
        raise wrong_type("stream_options", expected="an object", got=options)
    if not stream:
        raise ApiError("'stream_options' is only allowed where 'stream' is true.", param="stream_options")
    return boolean(options, "include_usage")


def _stops(body: Json) -> tuple[str, ...]:
    stop = body.get("stop")
    stops = [stop] if isinstance(stop, str) else stop or []
    if not isinstance(stops, list) or not all(isinstance(item, str) and item for item in stops):
        raise wrong_type("stop", expected="a string or an array of strings, none empty", got=stop)
    if len(stops) > _MAX_STOPS:
        raise wrong_value("stop", expected=f"at most {_MAX_STOPS} strings")
    return tuple(stops)


def _top_logprobs(body: Json) -> int:
    top = integer(body, "top_logprobs", low=0, high=_MAX_TOP_LOGPROBS)
    if top is not None and not body.get("logprobs"):
        raise wrong_value("top_logprobs", expected="'logprobs' to be true where it is set")
    return top or 0


def _tools(body: Json) -> tuple[Json, ...]:
    tools = body.get("tools")
    if tools is None:
        if body.get("parallel_tool_calls") is not None:
            raise ApiError(
                "'parallel_tool_calls' is only allowed where 'tools' are given.", param="parallel_tool_calls"
            )
        return ()
    for index, tool in enumerate(array(tools, path="tools")):
        path = f"tools[{index}]"
        if not isinstance(tool, dict) or tool.get("type") != "function":
            raise wrong_value(f"{path}.type", expected="'function', the only kind of tool here")
        function = mapping(tool, "function", path=path)
        string(function, "name", path=f"{path}.function")
        if "parameters" in function:
            mapping(function, "parameters", path=f"{path}.function")
    return tuple(tools)


def _tool_choice(body: Json, *, tools: tuple[Json, ...]) -> ToolChoice:
    choice = body.get("tool_choice")
    if choice is None:
        return ToolChoice(mode="auto")
    if not tools:
        raise ApiError("'tool_choice' is only allowed where 'tools' are given.", param="tool_choice")
    match choice:
        case "none" | "auto" | "required":
            return ToolChoice(mode=choice)
        case {"type": "function", "function": {"name": str(name)}}:
            if name in [tool["function"]["name"] for tool in tools]:
                return ToolChoice(mode="required", name=name)
            raise wrong_value("tool_choice", expected=f"a function named in 'tools', which '{name}' is not")
        case _:
            raise wrong_value("tool_choice", expected="none, auto, required, or an object that names a function")


def _response_format(body: Json) -> tuple[bool, Json | None]:
    match body.get("response_format"):
        case None | {"type": "text"}:
            return False, None
        case {"type": "json_object"}:
            if "json" not in str(body.get("messages")).lower():
                raise ApiError(
                    "'response_format' of type 'json_object' needs the word 'json' in some message.",
                    param="messages",
                )
            return True, None
        case {"type": "json_schema", "json_schema": {"name": str(), "schema": dict(schema)}}:
            return True, schema
        case {"type": "json_schema"}:
            raise missing("response_format.json_schema.name and response_format.json_schema.schema")
        case _:
            raise wrong_value("response_format", expected="an object of type text, json_object or json_schema")
