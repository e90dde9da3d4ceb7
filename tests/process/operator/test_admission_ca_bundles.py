"""The caBundle of the webhook configurations, kept equal to the operator's."""

import asyncio
import base64
import copy
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest
import structlog.testing
from prometheus_client import CollectorRegistry

from pointsman_operator.admission import AdmissionMetrics, CaBundles
from pointsman_operator.tls import ServingCertificates
from pointsman_operator.watch import ClusterError
from process.operator.admissions import authority, put
from support.waiting import until

NAME = "mutatingwebhookconfigurations/pointsman"


class Configurations:
    """Webhook configurations as the API server keeps them: a merge patch under a version, or a conflict."""

    def __init__(self) -> None:
        webhooks = [
            {"name": name, "clientConfig": {"service": {"name": "pointsman"}}, "failurePolicy": "Fail"}
            for name in ("by-pod", "by-namespace")
        ]
        self.stored: dict[str, dict[str, Any]] = {NAME: {"metadata": {"resourceVersion": "1"}, "webhooks": webhooks}}
        self.failing: ClusterError | None = None
        self.meanwhile = 0  # how many reads are followed by somebody else's write
        self.writes = 0
        self.reads = 0

    async def ask(self, method: str, path: str, *, body: Mapping[str, Any] | None = None) -> Any:
        """Answer as the API server would."""
        if self.failing:
            raise self.failing
        value = self.stored[path.removeprefix("/apis/admissionregistration.k8s.io/v1/")]
        if method == "GET":
            self.reads += 1
            answer = copy.deepcopy(value)
            if self.meanwhile:
                self.meanwhile -= 1
                self.touch()
            return answer
        assert body is not None
        if body["metadata"]["resourceVersion"] != value["metadata"]["resourceVersion"]:
            raise ClusterError("the object has been modified", status=409)
        self.writes += 1
        value["webhooks"] = copy.deepcopy(body["webhooks"])
        self.touch()
        return value

    def touch(self) -> None:
        """Go on to the next version."""
        metadata = self.stored[NAME]["metadata"]
        metadata["resourceVersion"] = str(int(metadata["resourceVersion"]) + 1)

    def bundles(self) -> set[str]:
        """The bundles that stand in the webhooks."""
        return {each["clientConfig"].get("caBundle", "") for each in self.stored[NAME]["webhooks"]}


@pytest.fixture
def api() -> Configurations:
    return Configurations()


@pytest.fixture
def certificates() -> ServingCertificates:
    made = ServingCertificates()
    put(made, authority())
    return made


def bundle(certificates: ServingCertificates) -> set[str]:
    return {base64.b64encode(certificates.ca_bundle).decode()}


@asynccontextmanager
async def keeping(
    api: Configurations, certificates: ServingCertificates, *, interval: float = 60
) -> AsyncIterator[None]:
    """The keeper, at work."""
    keeper = CaBundles(
        api,
        configurations=[NAME],
        certificates=certificates,
        metrics=AdmissionMetrics(CollectorRegistry()),
        interval=interval,
    )
    task = asyncio.create_task(keeper.run())
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def test_every_webhook_gets_the_bundle_and_keeps_all_else(
    api: Configurations, certificates: ServingCertificates
) -> None:
    async with keeping(api, certificates):
        await until(lambda: api.bundles() == bundle(certificates))

    first = api.stored[NAME]["webhooks"][0]
    assert (first["name"], first["failurePolicy"]) == ("by-pod", "Fail")
    assert first["clientConfig"]["service"] == {"name": "pointsman"}


async def test_another_authority_reaches_the_api_server_at_once(
    api: Configurations, certificates: ServingCertificates
) -> None:
    async with keeping(api, certificates):
        await until(lambda: api.bundles() == bundle(certificates))
        put(certificates, authority())
        await until(lambda: api.bundles() == bundle(certificates))

    assert api.writes == 2


async def test_what_is_right_already_is_not_written_again(
    api: Configurations, certificates: ServingCertificates
) -> None:
    async with keeping(api, certificates, interval=0.001):
        await until(lambda: api.reads > 5)

    assert api.writes == 1


async def test_a_bundle_that_somebody_takes_out_comes_back(
    api: Configurations, certificates: ServingCertificates
) -> None:
    async with keeping(api, certificates, interval=0.001):
        await until(lambda: api.bundles() == bundle(certificates))
        del api.stored[NAME]["webhooks"][0]["clientConfig"]["caBundle"]
        api.touch()
        await until(lambda: api.bundles() == bundle(certificates))


async def test_somebody_elses_write_is_not_overwritten_but_read_first(
    api: Configurations, certificates: ServingCertificates
) -> None:
    api.meanwhile = 1

    async with keeping(api, certificates):
        await until(lambda: api.bundles() == bundle(certificates))

    assert api.reads == 2


async def test_without_a_certificate_nothing_is_written_until_there_is_one(api: Configurations) -> None:
    certificates = ServingCertificates()

    async with keeping(api, certificates):
        put(certificates, authority())
        await until(lambda: api.bundles() == bundle(certificates))

    assert api.writes == 1


async def test_a_failure_is_told_once_and_tried_until_it_succeeds(
    api: Configurations, certificates: ServingCertificates
) -> None:
    api.failing = ClusterError("the API server answers 403: forbidden", status=403)

    with structlog.testing.capture_logs() as logs:
        async with keeping(api, certificates):
            await until(lambda: len(logs) == 1)
            put(certificates, authority())  # which has it tried at once
            api.failing = None
            await until(lambda: api.bundles() == bundle(certificates))

    warnings = [each for each in logs if each["log_level"] == "warning"]
    assert [each["error"] for each in warnings] == ["the API server answers 403: forbidden"]
    assert warnings[0]["configuration"] == NAME
