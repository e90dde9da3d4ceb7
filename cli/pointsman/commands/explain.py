"""`pointsman explain`."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from google.protobuf.json_format import MessageToJson
from rich.console import Console
from rich.table import Table
from rich.text import Text

from pointsman.commands.loading import good
from pointsman.errors import Refusal
from pointsman.explaining import explain as explained
from pointsman.worlds import Generations, pod_of, world_of
from pointsman_api.v1 import completions_pb2, decision_pb2, types_pb2
from pointsman_sidecar.contract.errors import CompletionError
from pointsman_sidecar.ids import new_decision_id


def explain(
    request: completions_pb2.CompleteRequest,
    files: Sequence[Path],
    *,
    namespace: str | None,
    labels: Mapping[str, str],
    headers: Mapping[str, str],
    negative_feedback: int,
    now: float,
    as_json: bool,
    out: Console,
) -> None:
    """Print what would be done with the request.

    Raises:
        UserError: nothing would be; it says why.
    """
    world = world_of(good(files, namespace=namespace), secrets=(), generations=Generations(), version=1)
    pod = pod_of(world, namespace=namespace, labels=labels)
    try:
        answer = explained(
            request,
            world=world,
            pod=pod,
            new_id=new_decision_id,
            now=now,
            headers=headers,
            negative_feedback=negative_feedback,
        )
    except CompletionError as error:
        raise Refusal(f"{error.kind.name}: {error}") from error
    if as_json:
        out.print_json(MessageToJson(answer))
    else:
        _print(answer, out=out)


def _print(answer: completions_pb2.ExplainResponse, *, out: Console) -> None:
    decision = answer.decision
    out.print(Text(decision.model, style="bold"), f"({decision.provider_model} of {decision.provider})")
    out.print(f"  {decision.message}")
    if decision.HasField("complexity"):
        out.print(f"  complexity {decision.complexity.score:.2f}, threshold {decision.complexity.threshold:.4g}")
    out.print(f"  about {answer.estimated_input_tokens:,} input tokens; policy {_policy(decision)}")
    if decision.HasField("risk"):
        out.print(f"  risk: {_risk(decision.risk)}")
    if answer.routes or answer.untried:
        routes = Table("ROUTE", "MATCHED", "WHY", box=None)
        for trial in answer.routes:
            routes.add_row(trial.route, "yes" if trial.matched else "no", trial.message)
            for name, value in sorted(trial.values.items()):
                routes.add_row("", "", f"request.{name} = {value}")
        for route in answer.untried:
            routes.add_row(route, "-", "not tried")
        out.print(routes)
    plan = Table("ORDER", "MODEL", "REASON", box=None)
    for position, step in enumerate(answer.plan, start=1):
        plan.add_row(str(position), step.model, decision_pb2.Reason.Name(step.reason).removeprefix("REASON_"))
    for skipped in answer.skipped:
        plan.add_row("-", skipped.model, f"skipped: {skipped.message}")
    out.print(plan)


def _policy(decision: decision_pb2.Decision) -> str:
    return f"{decision.policy.namespace}/{decision.policy.name}"


def _risk(risk: decision_pb2.DecisionRisk) -> str:
    domains = [types_pb2.Domain.Name(each).removeprefix("DOMAIN_").capitalize() for each in risk.domains]
    severity = types_pb2.Severity.Name(risk.severity).removeprefix("SEVERITY_").lower() if risk.severity else "not said"
    told = "by its words" if risk.found else "as the request says"
    return f"{', '.join(domains) or 'no domain'}, severity {severity}, {told}"
