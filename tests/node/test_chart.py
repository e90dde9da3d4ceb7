"""The charts on a cluster whose pods run: from `helm install` to an app that is routed, and on to the next version."""

from dataclasses import replace

import pytest

from cluster.harness.node.pods import container, output_of, pod, python, wait_ready
from cluster.harness.processes import wait_until
from node.chart import KEY, Installed

# An app that knows nothing but the address that it is told. It asks what would be done: there is no provider here.
APP = python("""
    import os, time, grpc
    from pointsman_api.v1 import completions_pb2 as api, completions_pb2_grpc

    message = api.Message(role=api.ROLE_USER, content=[api.ContentPart(text="May I return it?")])
    with grpc.insecure_channel(os.environ["POINTSMAN_ADDRESS"]) as channel:
        completions = completions_pb2_grpc.CompletionsStub(channel)
        deadline = time.monotonic() + 30
        while True:
            try:
                decision = completions.Explain(api.CompleteRequest(messages=[message])).decision
                break
            except grpc.RpcError as error:
                if error.code() != grpc.StatusCode.UNAVAILABLE or time.monotonic() > deadline:
                    raise
                time.sleep(0.2)
    print(decision.model, decision.provider_model)
""")
# One that knows OpenAI's client and nothing of Pointsman. It waits for a policy as that client does by itself.
ASKS = python("""
    import openai

    raw = openai.OpenAI(max_retries=10).chat.completions.with_raw_response.create(
        model="gpt-4o", messages=[{"role": "user", "content": "May I return it?"}]
    )
    print(raw.headers["x-pointsman-model"], raw.parse().choices[0].message.content.split()[0])
""")
WAITS = python("import signal; signal.sigwait([signal.SIGTERM])")


def test_an_app_in_a_labelled_namespace_is_routed_by_its_policy(installed: Installed, images: dict[str, str]) -> None:
    namespace = installed.app("shop")

    said = output_of(installed.cluster, namespace, "containers:\n" + container("app", images["sidecar"], APP))

    assert said == "mini gpt-4o-mini\n"


def test_an_app_is_answered_with_a_key_that_its_namespace_never_holds(
    installed: Installed, stub_url: str, images: dict[str, str]
) -> None:
    cluster, provider = installed.cluster, installed.provide(url=stub_url, key=KEY)
    namespace = replace(installed, provider=provider).app("answers")

    said = output_of(cluster, namespace, "containers:\n" + container("app", images["examples"], ASKS))

    assert said == "mini [gpt-4o-mini]\n"
    held = cluster.kubectl("get", "pods,secrets,configmaps,mrp", "-n", namespace, "-o", "yaml").stdout
    logged = cluster.kubectl("logs", "once", "-c", "pointsman-sidecar", "-n", namespace).stdout
    assert KEY not in held
    assert KEY not in logged


def test_an_upgrade_and_a_rollback_leave_a_running_app_connected(installed: Installed, images: dict[str, str]) -> None:
    namespace = installed.app("steady")
    app = pod("app", "containers:\n" + container("app", images["sidecar"], WAITS))
    installed.cluster.apply(app, namespace=namespace)
    wait_ready(installed.cluster, namespace, "app")
    installed.wait_until_applied(namespace, max_output_tokens=7)

    installed.upgrade("--set=logLevel=debug")
    installed.wait_until_applied(namespace, max_output_tokens=8)
    installed.helm("rollback", installed.namespace, f"--namespace={installed.namespace}", "--wait")
    installed.wait_until_applied(namespace, max_output_tokens=9)


# What Kubernetes' own roles let their holders do with our resources. Whatever is not here they may not.
MAY = {
    "view": {"get", "list", "watch"},
    "edit": {"get", "list", "watch", "create", "update", "patch", "delete", "deletecollection"},
}


@pytest.mark.parametrize("role", MAY)
def test_kubernetes_own_roles_reach_policies_and_never_providers_or_quotas(installed: Installed, role: str) -> None:
    cluster = installed.cluster
    namespace = cluster.namespace("team")
    as_holder = cluster.kubectl_as(cluster.kubeconfig_for("holder", namespace=namespace))
    binding = ("create", "rolebinding", "holder", f"--clusterrole={role}", f"--serviceaccount={namespace}:holder")
    cluster.kubectl(*binding, "-n", namespace)

    def allowed(resource: str, *options: str) -> set[str]:
        def may(verb: str) -> bool:
            question = ("auth", "can-i", verb, f"{resource}.pointsman.dev", *options, "-n", namespace)
            return as_holder(*question, check=False).stdout.strip() == "yes"

        return {verb for verb in MAY["edit"] if may(verb)}

    wait_until(lambda: allowed("modelroutingpolicies") == MAY[role], seconds=20, what=f"{role} reaches policies")
    assert not allowed("modelroutingpolicies", "--subresource=status")
    assert not allowed("modelproviders") - MAY["view"]
    assert allowed("tokenquotas") == MAY["view"]
