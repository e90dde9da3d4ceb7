"""What tests of the HTTP door share."""

import json
from typing import Any

KEY = "sk-of-these-tests"
# What an app's client is set up with. It must never be seen behind the door.
APP_KEY = "sk-CANARY-of-the-app"
# Plain dictionaries, as most apps write them; the SDK has a type for each.
QUESTION: Any = [{"role": "user", "content": "What is 2 + 2?"}]


def question(**members: Any) -> dict[str, Any]:
    """A chat request of one message, by its members."""
    return {"model": "auto", "messages": QUESTION, **members}


def events(body: bytes) -> list[str]:
    """The data of server-sent events."""
    return [part.removeprefix("data: ") for part in body.decode().split("\n\n") if part.startswith("data: ")]


def chunks(body: bytes) -> list[dict[str, Any]]:
    """The chunks of a stream that ended well."""
    *said, done = events(body)
    assert done == "[DONE]"
    return [json.loads(each) for each in said]
