"""A support desk: has its tickets answered, again and again, and shows which model answered each.

It knows the openai SDK and nothing of Pointsman: the model that it asks for is the flagship, for everything.
"""

import signal
import sys
import threading
from pathlib import Path

from openai import OpenAI, OpenAIError

MODEL = "gpt-4o"
TICKETS = (
    ("returns", "May I return a lamp that I bought three weeks ago?"),
    ("legal", "The invoice names the wrong company. Is it valid all the same?"),
    ("shipping", "Where is my parcel?"),
)
PAUSE_SECONDS = 5.0
READY = Path("/tmp/ready")  # noqa: S108 - a volume of this container's own; its readiness probe looks for it


def answered(client: OpenAI, topic: str, question: str) -> bool:
    """Have one ticket answered, and show how."""
    try:
        answer = client.chat.completions.create(
            model=MODEL, messages=[{"role": "user", "content": question}], metadata={"topic": topic}
        )
    except OpenAIError as error:
        # In a pod's first moment its sidecar has no policy yet.
        print(f"{topic}: no answer yet: {error}", file=sys.stderr)
        return False
    print(f"{topic}: {answer.model} answers: {answer.choices[0].message.content}")
    return True


def main() -> None:
    """Work until told to end."""
    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())
    pause = 0.0
    with OpenAI() as client:  # its address and key are in the environment
        while not ended.wait(pause):
            if all(answered(client, topic, question) for topic, question in TICKETS):
                READY.touch()
            pause = PAUSE_SECONDS if READY.exists() else 1.0


if __name__ == "__main__":
    main()
