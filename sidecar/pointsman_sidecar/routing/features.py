"""What the routing knows of a request: measured once, by `pointsman_sidecar.contract.requests`."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from pointsman_sidecar.routing.content import EMPTY, Content
from pointsman_sidecar.routing.matchers import Shape
from pointsman_sidecar.routing.policy import Feature, Modality, Priority, Severity

_URGENCIES = {Severity.LOW: Priority.LOW, Severity.HIGH: Priority.HIGH, Severity.CRITICAL: Priority.HIGH}


@dataclass(frozen=True, kw_only=True, slots=True)
class Features:
    """A request, and of its content the samples that rules are tried on.

    `model` is the model that the request names, empty where it leaves the choice to the policy. A name `is_wish` where
    the app may know nothing of policies: one that may not pin is passed over. `max_output_tokens` is what it asks for,
    None where it says nothing, for each of its `answers`. Sizes are in bytes and tokens; the tokens are an estimate,
    and of a request that `is_cut` the bytes are those that came before it was. `negative_feedback` is how many
    answers of its session were labelled as such that would not do.
    """

    request_bytes: int
    is_cut: bool = False
    estimated_input_tokens: int
    modalities: frozenset[Modality] = frozenset({Modality.TEXT})
    needs: frozenset[Feature] = frozenset()
    max_output_tokens: int | None = None
    answers: int = 1
    model: str = ""
    is_wish: bool = False
    user: str = ""
    session: str = ""
    severity: Severity | None = None
    priority: Priority | None = None
    negative_feedback: int = 0
    metadata: Mapping[str, str] = field(default_factory=dict)
    shape: Shape = Shape.TEXT
    content: Content = field(default=EMPTY, repr=False, compare=False)

    @property
    def has_tools(self) -> bool:
        """Whether it offers tools to the model."""
        return Feature.TOOLS in self.needs

    @property
    def urgency(self) -> Priority:
        """Its priority; where it names none, that of what hangs on the answer."""
        if self.priority is not None:
            return self.priority
        return Priority.NORMAL if self.severity is None else _URGENCIES.get(self.severity, Priority.NORMAL)
