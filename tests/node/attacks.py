"""Whoever would be a sidecar: a pod that opens control streams with whatever proof it has, and says how each ends."""

import base64
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from cluster.harness.cluster import Cluster
from cluster.harness.node.pods import container, output_of, python

AUDIENCE = "pointsman.dev"
# Every kind of token that a pod can have of the kubelet: beside these, the one for the API server is mounted anyway.
TOKENS = f"""volumes:
- name: tokens
  projected:
    sources:
    - serviceAccountToken: {{path: own, audience: {AUDIENCE}, expirationSeconds: 600}}
    - serviceAccountToken: {{path: for-another, audience: vault, expirationSeconds: 600}}
"""
MOUNT = "volumeMounts: [{name: tokens, mountPath: /tokens, readOnly: true}]"
FOR_API = "/var/run/secrets/kubernetes.io/serviceaccount/token"
OWN = "/tokens/own"
FOR_ANOTHER = "/tokens/for-another"
PRINT_OWN = python(f"print(open({OWN!r}).read())")
# Keys leave the pod as their hashes only, since what it says is kept in logs.
CODE = """
    import hashlib, json, os, grpc
    from pointsman_api.v1 import control_pb2 as control, control_pb2_grpc

    def requests(hello, answers):
        yield control.ConnectRequest(hello=hello)
        while (answer := answers.get()) is not None:
            yield answer

    def attempt(operator, ca, token, file, claims, until_end):
        if file:
            token = open(file).read()
        if ca:
            wire = grpc.secure_channel(operator, grpc.ssl_channel_credentials(ca.encode()))
        else:
            wire = grpc.insecure_channel(operator)
        hello = control.Hello(contract_version=1, token=token, claimed_identity=control.ClaimedIdentity(**claims))
        heard = {"policy": "", "keys": [], "none": "", "code": "", "details": ""}
        answers = queue.SimpleQueue()
        with wire:
            call = control_pb2_grpc.ControlStub(wire).Connect(requests(hello, answers), timeout=60)
            try:
                for update in call:
                    kind = update.WhichOneof("message")
                    if kind == "access":
                        keys = [each.api_key for each in update.access.providers]
                        heard["keys"] = sorted(hashlib.sha256(key.encode()).hexdigest() for key in keys)
                    if kind == "snapshot":
                        policy = update.snapshot.snapshot.policy
                        heard["policy"] = f"{policy.namespace}/{policy.name}"
                        answers.put(control.ConnectRequest(ack=control.Ack(nonce=update.snapshot.nonce)))
                    if kind == "no_policy":
                        heard["none"] = update.no_policy.reason
                    if kind in ("snapshot", "no_policy") and not until_end:
                        break
            except grpc.RpcError as error:
                heard["code"], heard["details"] = error.code().name, error.details()
            answers.put(None)
        return heard

    import queue
    print(json.dumps([attempt(**each) for each in json.loads(os.environ["ATTEMPTS"])]))
"""


@dataclass(frozen=True, kw_only=True)
class Attempt:
    """One stream: by TLS that trusts `ca`, or in plain text without one, and with a token or a file's content."""

    operator: str
    ca: str
    token: str = ""
    file: str = ""
    claims: Mapping[str, Any] = field(default_factory=dict)
    until_end: bool = False


@dataclass(frozen=True, kw_only=True)
class Heard:
    """What came of it: the policy that was given and hashes of the keys, or why not."""

    policy: str
    keys: Sequence[str]
    none: str
    code: str
    details: str

    @property
    def refused(self) -> bool:
        """Whether nothing at all was given, for want of proof."""
        return self.code == "UNAUTHENTICATED" and not (self.policy or self.keys or self.none)


def attack(cluster: Cluster, namespace: str, image: str, *attempts: Attempt, name: str = "attacker") -> list[Heard]:
    """Run a pod without a sidecar that tries each of these."""
    given = json.dumps(json.dumps([asdict(each) for each in attempts]))
    env = f"env: [{{name: ATTEMPTS, value: {given}}}]"
    spec = TOKENS + "containers:\n" + container("app", image, python(CODE), env, MOUNT)
    said = output_of(cluster, namespace, spec, name=name, labels={"pointsman.dev/inject": "false"}, seconds=90)
    return [Heard(**each) for each in json.loads(said)]


def token_of_a_pod(cluster: Cluster, namespace: str, image: str, *, name: str) -> str:
    """Run a pod that gives away the token that the kubelet projects into it."""
    spec = TOKENS + "containers:\n" + container("app", image, PRINT_OWN, MOUNT)
    return output_of(cluster, namespace, spec, name=name, labels={"pointsman.dev/inject": "false"}).strip()


def signed_anew(token: str, *, key: bytes, lives: float) -> str:
    """The same token with another end, signed by the cluster's own key: so no test waits ten minutes for an end."""
    head, payload, _ = token.split(".")
    claims = json.loads(base64.urlsafe_b64decode(payload + "=="))
    now = int(time.time())
    claims |= {"iat": now - 60, "nbf": now - 60, "exp": now + int(lives)}
    signed = f"{head}.{_encoded(json.dumps(claims).encode())}"
    signing = serialization.load_pem_private_key(key, password=None)
    assert isinstance(signing, rsa.RSAPrivateKey)
    return f"{signed}.{_encoded(signing.sign(signed.encode(), padding.PKCS1v15(), hashes.SHA256()))}"


def _encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")
