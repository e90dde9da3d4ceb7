"""What is wrong with a resource."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, order=True)
class Problem:
    """One thing that keeps a resource from being in force.

    `reason` is a condition's: CamelCase, for programs. `path` is where, such as `spec.models[0].model`; empty where it
    is no field. `message` is a sentence for people: what is wrong, and what to write instead.
    """

    path: str
    reason: str
    message: str

    def __str__(self) -> str:
        return f"{self.path}: {self.message}" if self.path else self.message
