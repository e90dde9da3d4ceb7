"""The webhook that brings the sidecar, asked over real TLS."""

import asyncio
import ssl
from collections.abc import AsyncIterator

import aiohttp
import pytest
import structlog.testing
from prometheus_client import CollectorRegistry

from pointsman_operator.admission import AdmissionMetrics, AdmissionServer
from pointsman_operator.settings import Address
from pointsman_operator.tls import ServingCertificates
from pointsman_operator.world import World
from pointsman_sidecar.settings import parse
from process.operator.admissions import (
    BY_NAMESPACE,
    BY_POD,
    VALIDATE,
    Webhooks,
    authority,
    put,
    review,
    webhooks,
)
from pure.operator.objects import policy
from pure.operator.pods import SETTINGS, Json, patched, pod


@pytest.fixture
async def running() -> AsyncIterator[Webhooks]:
    async with webhooks(world=World()) as made:
        yield made


def trusted(value: Json) -> str:
    """The CA that a pod's sidecar trusts."""
    variables = {each["name"]: each.get("value", "") for each in value["spec"]["initContainers"][0]["env"]}
    return str(variables["POINTSMAN_OPERATOR_CA"])


async def test_a_pod_that_asks_gets_a_sidecar_that_trusts_the_operator(running: Webhooks) -> None:
    answer = await running.ask(BY_POD, pod())

    assert (answer.response["uid"], answer.response["allowed"]) == ("review-1", True)
    assert answer.response["patchType"] == "JSONPatch"
    assert trusted(patched(pod(), answer.patch)) == running.certificates.ca_bundle.decode()
    assert running.counted("inject", "injected") == 1


async def test_the_sidecar_understands_all_that_it_is_told(running: Webhooks) -> None:
    value = pod(annotations={"pointsman.dev/log-level": "warning"})
    answer = await running.ask(BY_POD, value)

    sidecar = patched(value, answer.patch)["spec"]["initContainers"][0]
    # What the kubelet fills in, the name of the pod and of its namespace, has no value yet.
    settings = parse([], {each["name"]: each.get("value", "web-0") for each in sidecar["env"]})
    assert settings.tls is not None
    assert (settings.operator, settings.tls.ca) == (SETTINGS.operator, running.certificates.ca_bundle)
    assert str(settings.tls.token_file).startswith(sidecar["volumeMounts"][1]["mountPath"])
    assert str(settings.state_dir) == sidecar["volumeMounts"][0]["mountPath"]
    assert settings.status_listen.port == sidecar["ports"][0]["containerPort"]
    assert str(settings.http_listen) == "127.0.0.1:8083"
    assert (settings.pod, settings.log_level) == ("web-0", "WARNING")


async def test_a_pod_sent_for_its_namespaces_sake_gets_one_before_our_own_watch_knows_of_the_label(
    running: Webhooks,
) -> None:
    silent = pod(labels={})

    assert (await running.ask(BY_NAMESPACE, silent)).patch
    assert not (await running.ask(BY_POD, silent)).patch


async def test_a_pod_that_declines_or_has_it_already_passes_unchanged(running: Webhooks) -> None:
    after = patched(pod(), (await running.ask(BY_POD, pod())).patch)

    for value in (pod(labels={"pointsman.dev/inject": "false"}), after):
        answer = await running.ask(BY_NAMESPACE, value)
        assert answer.response == {"uid": "review-1", "allowed": True}
    assert running.counted("inject", "unchanged") == 2


async def test_a_refusal_is_a_sentence_and_a_reason(running: Webhooks) -> None:
    answer = await running.ask(BY_POD, pod(hostNetwork=True))

    status = answer.response["status"]
    assert not answer.response["allowed"]
    assert (status["code"], status["reason"]) == (403, "Forbidden")
    assert "hostNetwork" in status["message"]
    assert running.counted("inject", "refused") == 1


async def test_warnings_reach_whoever_creates_the_pod(running: Webhooks) -> None:
    answer = await running.ask(BY_POD, pod(annotations={"pointsman.dev/sidecar-cpus": "1"}))

    assert answer.patch
    assert answer.response["warnings"][0].startswith("annotation pointsman.dev/sidecar-cpus does nothing")


async def test_after_a_rotation_the_next_connection_and_the_next_pod_see_the_new_authority(running: Webhooks) -> None:
    put(running.certificates, authority())

    answer = await running.ask(BY_POD, pod())  # trusts the new one alone

    assert trusted(patched(pod(), answer.patch)) == running.certificates.ca_bundle.decode()


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        (b"pod", "the body is no JSON"),
        (b"[" * 100_000, "the body is no JSON"),
        (b"[]", "the body is no AdmissionReview of admission.k8s.io/v1; register the webhook for v1 reviews"),
        (b'{"apiVersion": "admission.k8s.io/v1beta1", "kind": "AdmissionReview"}', "no AdmissionReview of"),
        (b'{"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": {}}', "the review has no"),
    ],
)
async def test_what_is_no_review_is_answered_with_a_sentence(running: Webhooks, body: bytes, sentence: str) -> None:
    answer = await running.post(BY_POD, body)

    assert answer.status == 400
    assert sentence in answer.text
    assert running.counted("inject", "malformed") == 1


async def test_a_review_of_something_else_is_answered_with_what_to_register(running: Webhooks) -> None:
    wrong_kind = await running.ask(BY_POD, policy(), kind="ModelRoutingPolicy")
    wrong_operation = await running.ask(BY_POD, pod(), old=pod())
    no_spec = await running.ask(BY_POD, {"metadata": {}})

    assert "register it for CREATE of pods" in wrong_kind.text
    assert "UPDATE of Pod is not for this webhook" in wrong_operation.text
    assert "the review's object has no metadata or no spec" in no_spec.text


async def test_a_review_that_is_too_large_is_turned_away(running: Webhooks) -> None:
    answer = await running.post(BY_POD, b" " * (8 * 1024 * 1024 + 1))

    assert (answer.status, answer.text) == (413, "the review is larger than 8388608 bytes\n")


async def test_a_review_that_does_not_arrive_within_its_own_timeout_is_given_up(running: Webhooks) -> None:
    answer = await running.post(f"{BY_POD}?timeout=0s", b" " * 1024 * 1024)

    assert answer.status == 408


async def test_a_mistake_of_ours_is_logged_and_shows_the_caller_nothing() -> None:
    async with webhooks(world=None) as running:
        with structlog.testing.capture_logs() as logs:
            answer = await running.ask(VALIDATE, policy(), kind="ModelRoutingPolicy")

        assert (answer.status, answer.text) == (500, "the operator made a mistake, which its log describes\n")
        assert [each["log_level"] for each in logs] == ["error"]
        assert running.counted("validate", "failed") == 1


async def test_without_settings_for_the_sidecar_pods_are_not_taken() -> None:
    async with webhooks(world=World(), sidecar=None) as running:
        assert (await running.ask(BY_POD, pod())).status == 404


async def test_plain_text_and_strangers_get_no_answer(running: Webhooks) -> None:
    async with aiohttp.ClientSession() as session:
        with pytest.raises(aiohttp.ClientError):
            await session.post(f"http://{running.address}{BY_POD}", json=review(pod()))
        with pytest.raises(ssl.SSLCertVerificationError):
            await session.post(f"https://{running.address}{BY_POD}", json=review(pod()))


async def test_it_says_why_it_cannot_answer_yet() -> None:
    certificates = ServingCertificates()
    server = AdmissionServer(
        certificates=certificates, sidecar=SETTINGS, world=World, metrics=AdmissionMetrics(CollectorRegistry())
    )

    assert server.problem() == "the webhooks are not served"
    await server.start(Address(host="127.0.0.1", port=0))
    assert server.problem() == "the webhooks have no certificate yet"
    put(certificates, authority())
    assert server.problem() is None
    await server.stop()
    assert server.problem() == "the webhooks are not served"


async def test_a_burst_of_reviews_is_answered_whole(running: Webhooks) -> None:
    answers = await asyncio.gather(*(running.ask(BY_POD, pod()) for _ in range(50)))

    assert all(answer.patch for answer in answers)
    assert running.registry.get_sample_value("pointsman_operator_admission_seconds_count", {"webhook": "inject"}) == 50
