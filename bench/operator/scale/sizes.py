"""How much of everything, and what is aimed at."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Sizes:
    """One run."""

    sidecars: int
    policies: int
    few_policies: int  # to compare the cost of a change with
    pods: int
    changes: int  # of the policy that all sidecars have
    costed_changes: int  # of single policies, for their cost
    admissions_per_second: int
    admission_seconds: int
    fleets: int  # processes that play the sidecars


FULL = Sizes(
    sidecars=2000,
    policies=5000,
    few_policies=100,
    pods=10_000,
    changes=20,
    costed_changes=100,
    admissions_per_second=200,
    admission_seconds=20,
    fleets=4,
)
QUICK = Sizes(
    sidecars=20,
    policies=40,
    few_policies=10,
    pods=60,
    changes=3,
    costed_changes=10,
    admissions_per_second=20,
    admission_seconds=2,
    fleets=2,
)
