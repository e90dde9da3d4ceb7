"""A provider that speaks the OpenAI chat and embeddings API with canned answers, for tests and demos.

The pure part turns a request into an answer (`requests`, `messages`, `completions`, `answers`, `embeddings`, `tools`,
`schemas`, `replies`, `faults`, `deliveries`); sockets, clocks and randomness live in `server` and `provider` only.
Nothing of Pointsman is imported here: a sidecar must meet this server as it would meet the real one.
"""

from pointsman_stub.durations import Delay
from pointsman_stub.faults import Fault
from pointsman_stub.provider import StubProvider
from pointsman_stub.records import KeySeen, RequestRecord, fingerprint

__all__ = ["Delay", "Fault", "KeySeen", "RequestRecord", "StubProvider", "fingerprint"]
