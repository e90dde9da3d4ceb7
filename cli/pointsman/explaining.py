"""What would be done with a request, by files alone. Pure: the same code as in both planes, and no call."""

from collections.abc import Callable, Mapping

from pointsman.errors import Refusal
from pointsman.worlds import Pod
from pointsman_api.v1 import completions_pb2, control_pb2
from pointsman_operator.compile import Compiled, claim_of, compile_policy, select
from pointsman_operator.world import World
from pointsman_sidecar.completing.deciding import decide
from pointsman_sidecar.completing.tuned import Tuned
from pointsman_sidecar.contract.explanations import explanation
from pointsman_sidecar.contract.protobuf_form import ProtobufForm
from pointsman_sidecar.contract.snapshots import CONTRACT_VERSION, read_snapshot
from pointsman_sidecar.control.in_force import InForce
from pointsman_sidecar.doors.headers import for_rules
from pointsman_sidecar.routing.facts import Surroundings
from pointsman_sidecar.tuning.counting import Counting


class NotProgrammedError(Refusal):
    """No policy of the files can be in force for the pod. The text says why."""


def explain(
    request: completions_pb2.CompleteRequest,
    *,
    world: World,
    pod: Pod,
    new_id: Callable[[], str],
    now: float,
    headers: Mapping[str, str],
    negative_feedback: int,
) -> completions_pb2.ExplainResponse:
    """Explain a request of an app in this pod, at a moment and with headers by their names in lower case.

    `negative_feedback` is how many answers of its session were labelled as such that would not do.

    Raises:
        NotProgrammedError: no policy is for the pod, or the one that is does not compile.
        CompletionError: the request would get no answer.
    """
    in_force = InForce()
    in_force.apply(read_snapshot(_update(world, pod)))
    # Nothing was called, so nothing has failed or was slow, and nothing is spent.
    progress, features = decide(
        ProtobufForm(request),
        in_force=in_force,
        new_id=new_id,
        ejected=lambda _: {},
        surroundings=Surroundings(now=now, headers=lambda: for_rules(headers.items())),
        paces=lambda _: {},
        hindrance=lambda _: "",
        # Nothing was counted either: a share's threshold is where the shipped model has it.
        tuning=Tuned(in_force, Counting(new_name=new_id, now=lambda: now)).by,
        negative=lambda session: negative_feedback if session else 0,
    )
    return explanation(progress, features)


def _update(world: World, pod: Pod) -> control_pb2.SnapshotUpdate:
    claims = [claim_of(policy) for key, policy in world.policies.items() if key.namespace == pod.namespace]
    winner, _ = select(claims, pod_labels=pod.labels)
    if winner is None:
        labels = ",".join(f"{key}={value}" for key, value in pod.labels.items()) or "no labels"
        raise NotProgrammedError(f"no policy of namespace {pod.namespace} selects a pod with {labels}")
    compiled = compile_policy(
        world.policies[winner.key],
        providers=world.providers,
        namespace_labels=world.namespace_labels(pod.namespace),
    )
    if not isinstance(compiled, Compiled):
        raise NotProgrammedError(
            f"policy {winner.key} cannot be programmed: " + "; ".join(str(problem) for problem in compiled)
        )
    return control_pb2.SnapshotUpdate(
        contract_version=CONTRACT_VERSION,
        version=compiled.version,
        generation=compiled.generation,
        snapshot=compiled.snapshot,
    )
