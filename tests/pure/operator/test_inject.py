"""Which pods get the sidecar, what they are told, and why some cannot have it."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from pointsman_operator.inject import Injected, NotWanted, Refused, SidecarSettings, patch
from pure.operator.pods import SETTINGS, Json, patched, pod

OPTED_IN = {"pointsman.dev/inject": "true"}
DECLINING = {"pointsman.dev/inject": "false"}


def decide(
    value: Json, *, namespace_labels: Mapping[str, str] | None = None, settings: SidecarSettings = SETTINGS
) -> Injected | NotWanted | Refused:
    return patch(value, namespace_labels=namespace_labels or {}, settings=settings)


def injected(value: Json, **more: Any) -> Json:
    result = decide(value, **more)
    assert isinstance(result, Injected), result
    return patched(value, result.patch)


def warnings(value: Json) -> tuple[str, ...]:
    result = decide(value)
    assert isinstance(result, Injected), result
    return result.warnings


def refusal(value: Json) -> str:
    result = decide(value)
    assert isinstance(result, Refused), result
    return result.sentence


def sidecar(value: Json) -> Json:
    (found,) = [each for each in value["spec"]["initContainers"] if each["name"] == "pointsman-sidecar"]
    assert isinstance(found, dict)
    return found


def env(container: Json) -> dict[str, Any]:
    return {each["name"]: each.get("value", each.get("valueFrom")) for each in container.get("env", [])}


@pytest.mark.parametrize(
    ("labels", "namespace_labels", "expected"),
    [
        (OPTED_IN, {}, True),
        (OPTED_IN, DECLINING, True),
        ({}, OPTED_IN, True),
        (DECLINING, OPTED_IN, False),
        ({}, {}, False),
        ({}, DECLINING, False),
        ({"pointsman.dev/inject": "yes"}, {}, False),
    ],
)
def test_a_pod_or_its_namespace_asks_and_the_pod_may_decline(
    labels: dict[str, str], namespace_labels: dict[str, str], *, expected: bool
) -> None:
    result = decide(pod(labels=labels), namespace_labels=namespace_labels)

    assert isinstance(result, Injected if expected else NotWanted)


def test_a_pod_without_any_metadata_of_its_own_is_injected_for_its_namespace() -> None:
    bare = {"metadata": {"generateName": "web-"}, "spec": {"containers": [{"name": "web", "image": "web"}]}}

    after = injected(bare, namespace_labels=OPTED_IN)

    assert after["metadata"]["labels"] == {"pointsman.dev/injected": "true"}


def test_a_pod_that_mirrors_a_static_one_is_left_alone() -> None:
    mirror = pod(annotations={"kubernetes.io/config.mirror": "c0ffee"})

    assert isinstance(decide(mirror), NotWanted)


def test_the_sidecar_is_the_first_to_start_and_outlives_the_app() -> None:
    after = injected(pod(initContainers=[{"name": "migrate", "image": "web"}]))

    assert [each["name"] for each in after["spec"]["initContainers"]] == ["pointsman-sidecar", "migrate"]
    assert sidecar(after)["restartPolicy"] == "Always"


def test_a_mesh_starts_before_the_sidecar_and_hears_nothing_of_it() -> None:
    mesh = [{"name": name, "image": "mesh"} for name in ("istio-init", "istio-proxy")]

    after = injected(pod(initContainers=[*mesh, {"name": "migrate", "image": "web"}]))

    names = [each["name"] for each in after["spec"]["initContainers"]]
    told = [each["name"] for each in after["spec"]["initContainers"] if "POINTSMAN_ADDRESS" in env(each)]
    assert names == ["istio-init", "istio-proxy", "pointsman-sidecar", "migrate"]
    assert told == ["migrate"]


def test_every_container_that_starts_after_the_sidecar_is_told_where_it_is() -> None:
    containers = [{"name": name, "image": "web"} for name in ("web", "worker")]

    after = injected(pod(containers=containers, initContainers=[{"name": "migrate", "image": "web"}]))

    for each in (*after["spec"]["containers"], after["spec"]["initContainers"][1]):
        assert env(each) == {
            "POINTSMAN_ADDRESS": "127.0.0.1:8081",
            "OPENAI_BASE_URL": "http://127.0.0.1:8083/v1",
            "OPENAI_API_KEY": "pointsman",
        }


def test_what_the_app_sets_itself_is_kept_and_reported_without_its_value() -> None:
    own = [{"name": "POINTSMAN_ADDRESS", "value": "gateway:1"}]
    value = pod(containers=[{"name": "web", "image": "web", "env": own}])

    assert env(injected(value)["spec"]["containers"][0])["POINTSMAN_ADDRESS"] == "gateway:1"
    assert warnings(value) == (
        "container web sets POINTSMAN_ADDRESS itself, which is kept; its sidecar's is 127.0.0.1:8081",
    )


@pytest.mark.parametrize(
    "key",
    [
        {"name": "OPENAI_API_KEY", "value": "sk-of-the-app"},
        {"name": "OPENAI_API_KEY", "valueFrom": {"secretKeyRef": {"name": "openai", "key": "api-key"}}},
    ],
    ids=["in plain text", "from a Secret"],
)
def test_an_app_with_a_key_keeps_it_and_is_routed_all_the_same(key: Json) -> None:
    value = pod(containers=[{"name": "web", "image": "web", "env": [key]}])

    (web,) = injected(value)["spec"]["containers"]

    assert [each for each in web["env"] if each["name"] == "OPENAI_API_KEY"] == [key]
    assert env(web)["OPENAI_BASE_URL"] == "http://127.0.0.1:8083/v1"
    assert warnings(value) == ("container web sets OPENAI_API_KEY itself, which is kept; it ends at the sidecar",)


def test_an_app_that_goes_elsewhere_is_left_alone_and_reported() -> None:
    own = [{"name": "OPENAI_BASE_URL", "value": "https://gateway.example/v1"}]
    value = pod(containers=[{"name": "web", "image": "web", "env": own}])

    (web,) = injected(value)["spec"]["containers"]

    assert env(web) == {"OPENAI_BASE_URL": "https://gateway.example/v1", "POINTSMAN_ADDRESS": "127.0.0.1:8081"}
    assert warnings(value) == (
        "container web sets OPENAI_BASE_URL itself, which is kept; its sidecar's is http://127.0.0.1:8083/v1",
    )


def test_a_key_that_may_come_with_a_whole_secret_is_not_replaced() -> None:
    """Kubernetes lets `env` win over `envFrom`."""
    value = pod(containers=[{"name": "web", "image": "web", "envFrom": [{"secretRef": {"name": "openai"}}]}])

    (web,) = injected(value)["spec"]["containers"]

    assert env(web) == {"POINTSMAN_ADDRESS": "127.0.0.1:8081", "OPENAI_BASE_URL": "http://127.0.0.1:8083/v1"}


def test_an_app_that_sets_the_very_same_value_is_not_bothered() -> None:
    own = [{"name": "POINTSMAN_ADDRESS", "value": "127.0.0.1:8081"}]

    assert warnings(pod(containers=[{"name": "web", "image": "web", "env": own}])) == ()


def test_the_app_can_refer_to_the_address_in_values_of_its_own() -> None:
    own = [{"name": "TARGET", "value": "dns:///$(POINTSMAN_ADDRESS)"}]

    after = injected(pod(containers=[{"name": "web", "image": "web", "env": own}]))

    # Kubernetes expands a reference only to what stands before it.
    assert [each["name"] for each in after["spec"]["containers"][0]["env"]] == [
        "POINTSMAN_ADDRESS",
        "OPENAI_BASE_URL",
        "OPENAI_API_KEY",
        "TARGET",
    ]


def test_the_sidecar_has_no_rights_and_meets_the_restricted_standard() -> None:
    security = sidecar(injected(pod()))["securityContext"]

    assert security == {
        "runAsUser": 65532,
        "runAsGroup": 65532,
        "runAsNonRoot": True,
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
        "seccompProfile": {"type": "RuntimeDefault"},
    }


def test_only_the_sidecar_mounts_what_is_added_and_it_gets_no_token_for_the_kubernetes_api() -> None:
    after = injected(pod())

    added = {each["name"] for each in after["spec"]["volumes"]}
    mounts = {each["name"]: each["mountPath"] for each in sidecar(after)["volumeMounts"]}
    (token,) = [each["projected"] for each in after["spec"]["volumes"] if "projected" in each]
    assert mounts.keys() == added
    assert "volumeMounts" not in after["spec"]["containers"][0]
    # A mount there keeps Kubernetes from adding the token of the app's service account.
    assert mounts["pointsman-token"] == "/var/run/secrets/kubernetes.io/serviceaccount"
    assert env(sidecar(after))["POINTSMAN_TOKEN_FILE"] == f"{mounts['pointsman-token']}/token"
    assert token["sources"] == [
        {"serviceAccountToken": {"audience": "pointsman.dev", "expirationSeconds": 3600, "path": "token"}}
    ]


def test_the_token_can_be_read_by_the_sidecar_whoever_the_app_runs_as() -> None:
    # The kubelet owns the file by root where containers differ in user and the pod has no fsGroup.
    after = injected(pod(securityContext={"runAsUser": 1000}))

    (token,) = [each["projected"] for each in after["spec"]["volumes"] if "projected" in each]
    assert token["defaultMode"] & 0o004


def test_the_doors_listen_on_loopback_and_the_probes_ask_the_one_listener_that_does_not() -> None:
    found = sidecar(injected(pod()))

    assert env(found)["POINTSMAN_LISTEN"] == "127.0.0.1:8081"
    assert env(found)["POINTSMAN_STATUS_LISTEN"] == "0.0.0.0:8082"
    assert [each["containerPort"] for each in found["ports"]] == [8082]
    for probe in (found["startupProbe"], found["readinessProbe"]):
        assert probe["httpGet"] == {"path": "/readyz", "port": 8082}


def test_annotations_change_what_the_pods_own_sidecar_is_like() -> None:
    overrides = {
        "pointsman.dev/sidecar-cpu": "200m/2",
        "pointsman.dev/sidecar-memory": "256Mi",
        "pointsman.dev/grpc-port": "9081",
        "pointsman.dev/status-port": "9082",
        "pointsman.dev/log-level": "DEBUG",
    }

    after = injected(pod(annotations=overrides))

    found = sidecar(after)
    assert found["resources"] == {
        "requests": {"cpu": "200m", "memory": "256Mi"},
        "limits": {"cpu": "2", "memory": "256Mi"},
    }
    assert env(found)["POINTSMAN_LISTEN"] == "127.0.0.1:9081"
    assert env(found)["POINTSMAN_LOG_LEVEL"] == "debug"
    assert found["readinessProbe"]["httpGet"]["port"] == 9082
    assert env(after["spec"]["containers"][0])["POINTSMAN_ADDRESS"] == "127.0.0.1:9081"


@pytest.mark.parametrize(
    ("annotation", "value", "sentence"),
    [
        ("sidecar-cpu", "lots", "'lots' is no amount of CPU; write one such as 100m, or a request and a limit with a"),
        ("sidecar-cpu", "0", "'0' is no amount of CPU"),
        ("sidecar-cpu", "1/", "'1/' is no amount of CPU"),
        ("sidecar-cpu", "2/500m", "'2/500m' asks for more CPU than it allows; the request stands before the limit"),
        ("sidecar-memory", "128m", "'128m' is no amount of memory; write one such as 128Mi"),
        ("sidecar-memory", "128", "'128' is no amount of memory"),
        ("sidecar-memory", "1Gi/1G", "'1Gi/1G' asks for more memory than it allows"),
        ("grpc-port", "80", "'80' is no port for the sidecar; write a number from 1024 to 65535"),
        ("status-port", "http", "'http' is no port for the sidecar"),
        ("http-port", "8081", "pointsman.dev/grpc-port and pointsman.dev/http-port are both 8081; write two ports"),
        ("http-port", "8082", "pointsman.dev/http-port and pointsman.dev/status-port are both 8082; write two ports"),
        ("http-port", "80", "'80' is no port for the sidecar; write a number from 1024 to 65535"),
        ("grpc-port", "8082", "pointsman.dev/grpc-port and pointsman.dev/status-port are both 8082; write two ports"),
        ("log-level", "loud", "'loud' is no log level; write one of debug, info, warning, error"),
    ],
)
def test_a_wrong_annotation_is_refused_with_what_to_write(annotation: str, value: str, sentence: str) -> None:
    name = f"pointsman.dev/{annotation}"

    said = refusal(pod(annotations={name: value}))

    assert name in said
    assert sentence in said


def test_all_wrong_annotations_are_named_at_once() -> None:
    said = refusal(pod(annotations={"pointsman.dev/log-level": "loud", "pointsman.dev/grpc-port": "0"}))

    assert "pointsman.dev/grpc-port" in said
    assert "pointsman.dev/log-level" in said


def test_an_annotation_that_does_nothing_is_reported() -> None:
    (misspelt,) = warnings(pod(annotations={"pointsman.dev/sidecar-cpus": "1", "example.com/pointsman": "x"}))
    (misplaced,) = warnings(pod(annotations={"pointsman.dev/inject": "false"}))

    assert misspelt.startswith("annotation pointsman.dev/sidecar-cpus does nothing; those that do are")
    assert misplaced == (
        "pointsman.dev/inject is a label; as an annotation it does nothing, so write it under metadata.labels"
    )


@pytest.mark.parametrize(
    ("spec", "sentence"),
    [
        ({"hostNetwork": True}, "the pod is on its node's network (hostNetwork)"),
        ({"os": {"name": "windows"}}, "the pod is for Windows, where the sidecar does not run"),
        ({"nodeSelector": {"kubernetes.io/os": "windows"}}, "the pod is for Windows"),
        (
            {"initContainers": [{"name": "pointsman-sidecar", "image": "other"}]},
            "the pod has a container pointsman-sidecar of its own; give it another name",
        ),
        (
            {"volumes": [{"name": "pointsman-token", "emptyDir": {}}]},
            "the pod has a volume pointsman-token of its own; give it another name",
        ),
        (
            {"containers": [{"name": "web", "image": "web", "ports": [{"containerPort": 8081}]}]},
            "port 8081, which the sidecar needs for its gRPC door; give the sidecar another by the annotation",
        ),
        (
            {"initContainers": [{"name": "proxy", "image": "proxy", "ports": [{"containerPort": 8082}]}]},
            "container proxy has port 8082, which the sidecar needs for its health and metrics",
        ),
    ],
)
def test_a_pod_that_cannot_have_the_sidecar_is_refused_with_the_reason(spec: Json, sentence: str) -> None:
    value = pod()
    value["spec"] |= spec

    assert sentence in refusal(value)


def test_a_pod_that_cannot_have_the_sidecar_and_declines_it_is_let_through() -> None:
    result = decide(pod(labels=DECLINING, hostNetwork=True), namespace_labels=OPTED_IN)

    assert isinstance(result, NotWanted)


def test_a_port_of_another_protocol_or_moved_out_of_the_way_is_no_obstacle() -> None:
    udp = {"name": "web", "image": "web", "ports": [{"containerPort": 8081, "protocol": "UDP"}]}
    tcp = {"name": "web", "image": "web", "ports": [{"containerPort": 8081}]}

    assert injected(pod(containers=[udp]))
    assert injected(pod(containers=[tcp], annotations={"pointsman.dev/grpc-port": "9081"}))


def test_an_injection_by_other_settings_can_be_told_from_this_one() -> None:
    def mark(settings: SidecarSettings, annotations: dict[str, str] | None = None) -> str:
        found = injected(pod(annotations=annotations), settings=settings)["metadata"]["annotations"]
        return str(found["pointsman.dev/injection"])

    newer = replace(SETTINGS, image="registry.example/pointsman-sidecar:0.2.0")

    assert mark(SETTINGS) != mark(newer)
    # A pod's own wishes make it no older than the others.
    assert mark(SETTINGS) == mark(SETTINGS, {"pointsman.dev/log-level": "debug"})
