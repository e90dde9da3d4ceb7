"""A support desk: has its tickets answered, again and again, and shows which model answered each.

Only `ask` knows how a completion is called.
"""

import os
import signal
import sys
import threading
from pathlib import Path

import grpc

from pointsman_api.v1 import completions_pb2, completions_pb2_grpc

TICKETS = (
    ("returns", "May I return a lamp that I bought three weeks ago?"),
    ("legal", "The invoice names the wrong company. Is it valid all the same?"),
    ("shipping", "Where is my parcel?"),
)
PAUSE_SECONDS = 5.0
READY = Path("/tmp/ready")  # noqa: S108 - a volume of this container's own; its readiness probe looks for it

channel = grpc.insecure_channel(os.environ["POINTSMAN_ADDRESS"])
completions = completions_pb2_grpc.CompletionsStub(channel)


def ask(topic: str, question: str) -> tuple[str, str]:
    """The model that answered, and its answer; grpc.RpcError where none did."""
    message = completions_pb2.Message(
        role=completions_pb2.ROLE_USER, content=[completions_pb2.ContentPart(text=question)]
    )
    hints = completions_pb2.RoutingHints(metadata={"topic": topic})
    answer = completions.Complete(completions_pb2.CompleteRequest(messages=[message], hints=hints), timeout=60)
    return answer.decision.model, answer.choices[0].message.content[0].text


def answered(topic: str, question: str) -> bool:
    """Have one ticket answered, and show how."""
    try:
        model, text = ask(topic, question)
    except grpc.RpcError as error:
        # In a pod's first moment its sidecar has no policy yet.
        print(f"{topic}: no answer yet, {error.code().name}: {error.details()}", file=sys.stderr)
        return False
    print(f"{topic}: {model} answers: {text}")
    return True


def main() -> None:
    """Work until told to end."""
    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())
    pause = 0.0
    while not ended.wait(pause):
        if all(answered(topic, question) for topic, question in TICKETS):
            READY.touch()
        pause = PAUSE_SECONDS if READY.exists() else 1.0


if __name__ == "__main__":
    main()
