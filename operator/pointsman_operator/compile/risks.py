"""What a policy says of risk and of latency, in the contract's terms. Where it says nothing, nothing is written."""

from pointsman_api.v1 import snapshot_pb2 as snapshot
from pointsman_operator.compile.conditions import SEVERITIES
from pointsman_operator.compile.matchers import DOMAINS
from pointsman_operator.compile.quantities import duration
from pointsman_operator.resources.policy import Latency, Risk


def risk(said: Risk | None) -> snapshot.Risk | None:
    """Where risk is looked for."""
    if said is None:
        return None
    return snapshot.Risk(
        lexicons=sorted(said.lexicons),
        terms=[
            snapshot.RiskTerms(
                domain=DOMAINS[each.domain], severity=SEVERITIES[each.severity], words=sorted(each.words)
            )
            for each in said.terms
        ],
    )


def latency(said: Latency | None) -> snapshot.Latency | None:
    """How fast answers should come."""
    return None if said is None else snapshot.Latency(p50=duration(said.p50))
