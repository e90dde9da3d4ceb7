"""The node is what it claims: pods run on it as in production, and it comes through crashes of its own parts."""

import base64
import json
import os
import sys
from pathlib import Path

import yaml

from cluster.harness.binaries import NODE_TIER, locate
from cluster.harness.cluster import Cluster
from cluster.harness.node.own import OwnNode
from cluster.harness.node.places import Node
from cluster.harness.node.pods import RESTRICTED, container, output_of, pod, python, wait_ready
from cluster.harness.processes import wait_until

AUDIENCE = "pointsman.dev/tests"
WEB = python("""
    import http.server

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"hello from " + self.path.encode())

    http.server.ThreadingHTTPServer(("", 8000), Handler).serve_forever()
""")
SERVICE = """
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {selector: {app: web}, ports: [{port: 80, targetPort: 8000}]}
"""
TOKEN_VOLUME = f"""volumes:
- name: token
  projected: {{sources: [{{serviceAccountToken: {{path: token, audience: {AUDIENCE}, expirationSeconds: 600}}}}]}}
"""
WEBHOOK = """
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingWebhookConfiguration
metadata: {{name: {name}}}
webhooks:
- name: refuses.pointsman.dev
  clientConfig: {{service: {{namespace: {namespace}, name: web, port: 80}}}}
  rules: [{{apiGroups: [""], apiVersions: [v1], resources: [configmaps], operations: [CREATE]}}]
  objectSelector: {{matchLabels: {{refused: {name}}}}}
  admissionReviewVersions: [v1]
  sideEffects: None
  failurePolicy: Fail
"""
CHART = "apiVersion: v2\nname: note\nversion: 1.0.0\nkubeVersion: '>=1.29.0-0'\n"
CHART_TEMPLATE = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: note}\ndata: {release: {{ .Release.Name }}}\n"


def web_in(cluster: Cluster, image: str) -> str:
    """A namespace with a web server and a Service in front of it that answers."""
    namespace = cluster.namespace("web", labels=RESTRICTED)
    probe = "readinessProbe: {httpGet: {port: 8000, path: /}, periodSeconds: 1}"
    spec = "containers:\n" + container("web", image, WEB, probe)
    cluster.apply(pod("web", spec) + "\n---" + SERVICE, namespace=namespace)
    wait_ready(cluster, namespace, "web")
    # Through the API server: its proxy takes a Service's endpoints, which kube-proxy then has too or will have soon.
    proxied = ("get", "--raw", f"/api/v1/namespaces/{namespace}/services/web:80/proxy/ready")
    wait_until(
        lambda: cluster.kubectl(*proxied, check=False).stdout == "hello from /ready",
        seconds=20,
        what="the Service has an endpoint",
    )
    return namespace


def restarts(cluster: Cluster, namespace: str, name: str) -> str:
    return cluster.kubectl(
        "get", "pod", name, "-n", namespace, "-o", "jsonpath={.status.containerStatuses[*].restartCount}"
    ).stdout


def test_the_node_is_ready_and_of_the_pinned_version(cluster: Cluster, own_node: OwnNode) -> None:
    node = json.loads(own_node.cluster.kubectl("get", "nodes", "-o", "json").stdout)["items"][0]

    conditions = {condition["type"]: condition["status"] for condition in node["status"]["conditions"]}
    assert conditions["Ready"] == "True"
    assert node["status"]["nodeInfo"]["kubeletVersion"] == locate(os.environ).version
    assert cluster is own_node.cluster


def test_a_pod_of_each_image_runs_without_root_on_a_file_system_that_it_cannot_write(
    cluster: Cluster, images: dict[str, str]
) -> None:
    namespace = cluster.namespace("images", labels=RESTRICTED)
    who = python("""
        import os
        print(os.getuid(), os.getgid(), os.access("/bin/sh", os.F_OK))
        try:
            open("/written", "w")
        except OSError as error:
            print(error.strerror)
    """)

    for plane, image in images.items():
        helped = output_of(
            cluster, namespace, "containers:\n" + container("it", image, "args: [--help]"), name=f"{plane}-help"
        )
        found = output_of(cluster, namespace, "containers:\n" + container("it", image, who), name=f"{plane}-who")

        assert f"usage: {'python3' if plane == 'examples' else f'pointsman-{plane}'}" in helped
        assert found == "65532 65532 False\nRead-only file system\n"


def test_a_pod_reaches_a_service_by_its_name(cluster: Cluster, images: dict[str, str]) -> None:
    namespace = web_in(cluster, images["sidecar"])
    code = f"""
        import urllib.request
        for name in ("web", "web.{namespace}.svc", "web.{namespace}.svc.cluster.local"):
            print(urllib.request.urlopen(f"http://{{name}}/{{name}}", timeout=5).read().decode())
    """

    said = output_of(cluster, namespace, "containers:\n" + container("client", images["sidecar"], python(code)))

    assert said.splitlines() == [
        f"hello from /{name}" for name in ("web", f"web.{namespace}.svc", f"web.{namespace}.svc.cluster.local")
    ]


def test_a_test_reaches_a_service_by_its_address(own_node: OwnNode, images: dict[str, str]) -> None:
    namespace = web_in(own_node.cluster, images["sidecar"])
    service = ("get", "service", "web", "-n", namespace, "-o", "jsonpath={.spec.clusterIP}")
    address = own_node.cluster.kubectl(*service).stdout
    code = f"import urllib.request; print(urllib.request.urlopen('http://{address}/here').read().decode())"

    answer = own_node.inside([sys.executable, "-c", code], network_only=True)

    assert answer.stdout == "hello from /here\n"


def test_the_api_server_calls_webhooks_in_pods(cluster: Cluster, images: dict[str, str]) -> None:
    namespace = web_in(cluster, images["sidecar"])
    name = cluster.unique("refuses")
    cluster.apply(WEBHOOK.format(name=name, namespace=namespace))
    cluster.delete_at_end(f"validatingwebhookconfiguration/{name}")
    labelled = f"apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: labelled, labels: {{refused: {name}}}}}\n"

    # What the API server says once it has reached the web server, which knows no TLS.
    reached = "first record does not look like a TLS handshake"
    wait_until(
        lambda: reached in cluster.apply(labelled, namespace=namespace, check=False).stderr,
        seconds=20,
        what="the API server has called the webhook",
    )


def test_a_projected_token_is_for_its_audience_and_names_its_pod(cluster: Cluster, images: dict[str, str]) -> None:
    namespace = cluster.namespace("token", labels=RESTRICTED)
    read = python("print(open('/var/run/pointsman/token').read())")
    mount = "volumeMounts: [{name: token, mountPath: /var/run/pointsman, readOnly: true}]"
    spec = TOKEN_VOLUME + "containers:\n" + container("app", images["sidecar"], read, mount)

    token = output_of(cluster, namespace, spec, name="app").strip()

    payload = token.split(".")[1]
    claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    assert claims["aud"] == [AUDIENCE]
    assert claims["kubernetes.io"]["pod"]["name"] == "app"
    assert review(cluster, token, AUDIENCE)["authenticated"] is True
    assert "authenticated" not in review(cluster, token, "someone-else")


def review(cluster: Cluster, token: str, audience: str) -> dict[str, object]:
    asked = {
        "apiVersion": "authentication.k8s.io/v1",
        "kind": "TokenReview",
        "spec": {"token": token, "audiences": [audience]},
    }
    status: dict[str, object] = json.loads(
        cluster.kubectl(
            "create", "--raw", "/apis/authentication.k8s.io/v1/tokenreviews", "-f", "-", stdin=json.dumps(asked)
        ).stdout
    )["status"]
    return status


def test_a_native_sidecar_serves_the_app_and_does_not_keep_a_job_from_completing(
    cluster: Cluster, images: dict[str, str]
) -> None:
    namespace = cluster.namespace("native", labels=RESTRICTED)
    startup = "startupProbe: {httpGet: {port: 8000, path: /}, periodSeconds: 1, failureThreshold: 30}"
    sidecar = container("sidecar", images["sidecar"], "restartPolicy: Always", WEB, startup)
    ask = python("import urllib.request; print(urllib.request.urlopen('http://127.0.0.1:8000/app').read().decode())")
    app = container("app", images["sidecar"], ask)
    once = "restartPolicy: Never\nterminationGracePeriodSeconds: 1\n"
    template = f"{once}initContainers:\n{sidecar}\ncontainers:\n{app}\n"
    job = {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": "once"},
        "spec": {"backoffLimit": 0, "template": {"spec": yaml.safe_load(template)}},
    }
    cluster.apply(json.dumps(job), namespace=namespace)

    waited = ("wait", "--for=condition=Complete", "--timeout=60s", "job/once", "-n", namespace)
    cluster.kubectl(*waited, seconds=65)

    assert cluster.kubectl("logs", "job/once", "-c", "app", "-n", namespace).stdout == "hello from /app\n"


def test_pod_security_refuses_what_a_restricted_namespace_forbids(cluster: Cluster, images: dict[str, str]) -> None:
    namespace = cluster.namespace("restricted", labels=RESTRICTED)
    lax = f"containers:\n- name: lax\n  image: {images['sidecar']}\n"

    refused = cluster.apply(pod("lax", lax), namespace=namespace, check=False)

    assert 'violates PodSecurity "restricted:latest"' in refused.stderr


def test_a_command_runs_in_a_pod(cluster: Cluster, images: dict[str, str]) -> None:
    namespace = web_in(cluster, images["sidecar"])

    said = cluster.kubectl("exec", "web", "-n", namespace, "--", "python3", "-c", "print(6 * 7)")

    assert said.stdout == "42\n"


def test_helm_installs_and_removes_a_chart(node: Node, tmp_path: Path) -> None:
    namespace = node.cluster.namespace("helm")
    (tmp_path / "templates").mkdir()
    (tmp_path / "Chart.yaml").write_text(CHART)
    (tmp_path / "templates" / "note.yaml").write_text(CHART_TEMPLATE)

    node.helm("install", "first", tmp_path, "--namespace", namespace, "--wait")

    note = ("get", "configmap", "note", "-n", namespace)
    assert node.cluster.kubectl(*note, "-o", "jsonpath={.data.release}").stdout == "first"
    node.helm("uninstall", "first", "--namespace", namespace, "--wait")
    assert "not found" in node.cluster.kubectl(*note, check=False).stderr


def test_helm_is_of_the_pinned_version(own_node: OwnNode) -> None:
    pinned = next(locate(os.environ, module).version for module in NODE_TIER if module.name == "helm")

    assert own_node.helm("version", "--template", "{{.Version}}").stdout == pinned


def test_pods_go_on_while_parts_of_the_node_are_killed_and_started_again(
    own_node: OwnNode, images: dict[str, str]
) -> None:
    cluster = own_node.cluster
    namespace = web_in(cluster, images["sidecar"])

    for part in ("kube-apiserver", "etcd", "kubelet", "containerd"):
        own_node.kill(part)
        if part == "kube-apiserver":
            assert cluster.kubectl("get", "pods", "--request-timeout=1s", check=False).returncode != 0
        own_node.start(part)
        assert restarts(cluster, namespace, "web") == "0"

    said = output_of(
        cluster, namespace, "containers:\n" + container("after", images["sidecar"], python("print('well')"))
    )
    assert said == "well\n"
    assert restarts(cluster, namespace, "web") == "0"
