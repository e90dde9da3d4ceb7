"""A plan in the contract's words, for `Explain`."""

from pointsman_api.v1 import completions_pb2
from pointsman_sidecar.contract import json
from pointsman_sidecar.contract.decisions import REASONS, Progress, decision
from pointsman_sidecar.routing.features import Features


def explanation(progress: Progress, features: Features) -> completions_pb2.ExplainResponse:
    """What would be done with a request, and why not otherwise."""
    plan = progress.plan
    return completions_pb2.ExplainResponse(
        decision=decision(progress),
        routes=[
            completions_pb2.RouteTrial(
                route=trial.route,
                matched=trial.match.holds,
                message=trial.match.why(),
                values={name: _shown(name, value) for name, value in trial.match.values().items()},
            )
            for trial in plan.trials
        ],
        plan=[completions_pb2.PlannedModel(model=step.model.name, reason=REASONS[step.reason]) for step in plan.steps],
        skipped=[completions_pb2.SkippedModel(model=each.model, message=each.message) for each in plan.skipped],
        estimated_input_tokens=features.estimated_input_tokens,
        untried=[route.name for route in progress.policy.routes[len(plan.trials) :]],
    )


def _shown(name: str, value: object) -> str:
    # What the user said is not repeated: who explains a request has it, and whoever reads the explanation need not.
    return f"{len(str(value)):,} characters" if name == "text" else json.encode(value).decode()
