"""The settings of the webhooks and of the sidecars that they bring."""

import pytest

from pointsman_operator.inject import Allowance
from pointsman_operator.settings import Address, SettingsError
from pure.operator.test_operator_settings import read

LISTEN = "--webhook-listen=0.0.0.0:8443"
INJECT = (LISTEN, "--sidecar-image=sidecar:1", "--sidecar-operator=pointsman.pointsman-system.svc:9443")


def test_without_an_address_there_are_no_webhooks() -> None:
    assert read().webhooks is None


def test_without_an_image_policies_are_judged_and_pods_are_not_taken() -> None:
    webhooks = read(LISTEN).webhooks

    assert webhooks is not None
    assert webhooks.listen == Address(host="0.0.0.0", port=8443)
    assert webhooks.sidecar is None


def test_the_sidecar_is_as_the_settings_say() -> None:
    webhooks = read(
        *INJECT, "--sidecar-cpu=100m", "--sidecar-after=istio-proxy, linkerd-proxy", "--audience=ours"
    ).webhooks

    assert webhooks is not None
    assert webhooks.sidecar is not None
    assert webhooks.sidecar.operator == "pointsman.pointsman-system.svc:9443"
    assert webhooks.sidecar.audience == "ours"
    assert webhooks.sidecar.cpu == Allowance(request="100m", limit="100m")
    assert webhooks.sidecar.memory == Allowance(request="128Mi", limit="256Mi")
    assert webhooks.sidecar.after == ("istio-proxy", "linkerd-proxy")


def test_the_environment_sets_them_too() -> None:
    webhooks = read(environ={"POINTSMAN_WEBHOOK_LISTEN": "127.0.0.1:1"}).webhooks

    assert webhooks is not None
    assert webhooks.listen.port == 1


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (INJECT[1:], "--webhook-listen is missing, without which --sidecar-image and --webhook-configurations do"),
        (["--webhook-listen=8443"], "--webhook-listen is '8443', which is no HOST:PORT"),
        ([*INJECT[:2]], "--sidecar-operator is missing; write where sidecars reach the operator, such as pointsman."),
        ([*INJECT, "--sidecar-pull-policy=Sometimes"], "--sidecar-pull-policy is 'Sometimes'; write one of Always"),
        ([*INJECT, "--sidecar-cpu=much"], "--sidecar-cpu: 'much' is no amount of CPU; write one such as 100m"),
        ([*INJECT, "--sidecar-memory=1Gi/1Mi"], "--sidecar-memory: '1Gi/1Mi' asks for more memory than it allows"),
        (
            [LISTEN, "--webhook-configurations=pointsman"],
            "--webhook-configurations has 'pointsman'; write for example mutatingwebhookconfigurations/pointsman",
        ),
    ],
)
def test_a_wrong_setting_is_named_with_what_to_write(arguments: list[str], sentence: str) -> None:
    with pytest.raises(SettingsError) as caught:
        read(*arguments)

    assert sentence in str(caught.value)
