"""`pointsman run` follows its files, however they are changed, and keeps what was good where they are not."""

import shutil
from pathlib import Path
from typing import Any

import grpc
import pytest

from pointsman_stub import StubProvider, fingerprint
from process.standalone.processes import KEY, KEYED, REFUSED, WITH_KEY, lay, running
from pure.cli.resources import Json, namespace, policy, provider, secret, text
from support import completions
from support.waiting import until

UNCOMPILED = "policy cannot be programmed; what was in force stays"
# Nothing is called in most of these tests.
OPEN = provider(baseURL="http://127.0.0.1:9/v1")
UNCHOSEN = "FAILED_PRECONDITION"


def default(model: str) -> Json:
    return policy(defaultModel=model)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a good provider and a good policy, in files of their own."""
    made = tmp_path / "files"
    made.mkdir()
    lay(made / "provider.yaml", OPEN)
    lay(made / "policy.yaml", default("mini"))
    return made


def replaced(file: Path, *resources: Any) -> None:
    """Replace a file at once, as careful editors do."""
    lay(file.with_suffix(".new"), *resources).rename(file)


async def test_a_file_takes_effect_when_it_is_written_to_replaced_or_there_again(folder: Path, tmp_path: Path) -> None:
    file = folder / "policy.yaml"
    async with running("-f", file, "-f", folder / "provider.yaml", log_file=tmp_path / "log") as served:
        assert await served.chosen() == "mini"
        lay(file, default("flagship"))
        await served.until_chosen("flagship")
        replaced(file, default("mini"))
        await served.until_chosen("mini")
        file.unlink()
        await served.until_logged(REFUSED, f"{file} cannot be read: No such file or directory")
        assert await served.chosen() == "mini"
        lay(file, default("flagship"))
        await served.until_chosen("flagship")


async def test_what_a_link_leads_to_is_followed_wherever_it_lies(folder: Path, tmp_path: Path) -> None:
    """Even in a folder of a name that libraries for watching like to pass over."""
    kept = tmp_path / "node_modules"
    kept.mkdir()
    shutil.move(folder / "policy.yaml", kept / "policy.yaml")
    (folder / "policy.yaml").symlink_to(kept / "policy.yaml")
    async with running("-f", folder, log_file=tmp_path / "log") as served:
        lay(kept / "policy.yaml", default("flagship"))
        await served.until_chosen("flagship")


async def test_a_mounted_config_map_is_followed(tmp_path: Path) -> None:
    """The kubelet writes a new folder, and moves a link to it over the old one."""
    mount = tmp_path / "mount"
    for version, model in (("..1", "mini"), ("..2", "flagship")):
        (mount / version).mkdir(parents=True)
        lay(mount / version / "all.yaml", OPEN, default(model))
    (mount / "..data").symlink_to("..1")
    (mount / "all.yaml").symlink_to("..data/all.yaml")
    async with running("-f", mount, log_file=tmp_path / "log") as served:
        assert await served.chosen() == "mini"
        (mount / "..data_tmp").symlink_to("..2")
        (mount / "..data_tmp").rename(mount / "..data")
        shutil.rmtree(mount / "..1")
        await served.until_chosen("flagship")
        assert served.reasons(REFUSED) == []


async def test_mistakes_change_nothing_and_are_said_once_each_time(folder: Path) -> None:
    """The log lies beside the files, so that each line of it is one more change to look at."""
    file = folder / "policy.yaml"
    mistakes = [
        ("a: b: c", REFUSED, f"{file}:1:5: mapping values are not allowed in this context"),
        (text(default("tiny")), REFUSED, "defaultModel tiny is not the name of one of models"),
        (text(policy(routes=[{"name": "r", "when": {}, "model": "mini"}])), REFUSED, "spec.routes[0].when"),
        (text({**OPEN, "metadata": {"name": "openai"}}), REFUSED, "ModelProvider openai stands twice"),
        (
            text(policy(models=[{"name": "mini", "providerRef": {"name": "openai"}, "model": "gpt-5"}], routes=[])),
            UNCOMPILED,
            "policy shop/support: spec.models[0].model: ModelProvider openai has no model gpt-5",
        ),
    ]
    async with running("-f", folder, log_file=folder / "run.log") as served:
        expected = "mini"
        for written, event, reason in mistakes:
            file.write_text(written, encoding="utf-8")
            await served.until_logged(event, reason)
            assert await served.chosen() == expected
            lay(folder / "unrelated.txt", "a change that says nothing")
            expected = "flagship" if expected == "mini" else "mini"
            lay(file, default(expected))
            await served.until_chosen(expected)
        for _, event, reason in mistakes:
            assert sum(reason in said for said in served.reasons(event)) == 1
        _, event, reason = mistakes[0]
        file.write_text(mistakes[0][0], encoding="utf-8")
        await served.until_logged(event, reason, times=2)
        assert "Traceback" not in served.log


async def test_a_policy_that_is_gone_from_its_folder_is_in_force_no_more(folder: Path, tmp_path: Path) -> None:
    async with running("-f", folder, log_file=tmp_path / "log") as served:
        (folder / "policy.yaml").unlink()
        await served.until_chosen(UNCHOSEN)
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await served.app.Complete(completions.ask())
        assert refused.value.code() is grpc.StatusCode.FAILED_PRECONDITION
        assert refused.value.details() == "no ModelRoutingPolicy of namespace shop selects this pod"
        lay(folder / "again.yaml", default("flagship"))
        await served.until_chosen("flagship")


async def test_a_provider_that_no_longer_allows_the_namespace_is_not_called(
    folder: Path, tmp_path: Path, stub: StubProvider
) -> None:
    selected = {"from": "Selector", "selector": {"matchLabels": {"ai": "allowed"}}}
    lay(folder / "provider.yaml", provider(baseURL=stub.base_url, auth=KEYED, allowedNamespaces=selected))
    lay(folder / "namespace.yaml", namespace("shop", ai="allowed"))
    async with running("-f", folder, *WITH_KEY, log_file=tmp_path / "log") as served:
        await served.app.Complete(completions.ask())
        lay(folder / "namespace.yaml", namespace("shop", ai="withdrawn"))
        await served.until_logged(UNCOMPILED, "ModelProvider openai does not allow namespace shop")
        await until(lambda: served.lines("access")[-1]["providers"] == [])
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await served.app.Complete(completions.ask())
        assert refused.value.code() is grpc.StatusCode.UNAVAILABLE
        assert "the operator gives no access to provider openai" in (refused.value.details() or "")

    assert len(stub.requests) == 1


async def test_a_providers_new_address_and_a_renewed_key_are_used(
    folder: Path, tmp_path: Path, stub: StubProvider, other_stub: StubProvider
) -> None:
    lay(folder / "provider.yaml", provider(baseURL=stub.base_url, auth=KEYED))
    lay(folder / "secret.yaml", secret("openai", stringData={"api-key": "sk-outdated"}))
    async with running("-f", folder, log_file=tmp_path / "log") as served:
        with pytest.raises(grpc.aio.AioRpcError):
            await served.app.Complete(completions.ask())
        lay(folder / "secret.yaml", secret("openai", stringData={"api-key": KEY}))
        # A key shows nowhere. It goes ahead of a policy that is changed after it, whose effect shows.
        lay(folder / "policy.yaml", default("flagship"))
        await served.until_chosen("flagship")
        await served.app.Complete(completions.ask())
        lay(folder / "provider.yaml", provider(baseURL=other_stub.base_url, auth=KEYED))
        lay(folder / "policy.yaml", default("mini"))
        await served.until_chosen("mini")
        await served.app.Complete(completions.ask())

    assert {request.key.fingerprint for request in stub.requests[:-1]} == {fingerprint("sk-outdated")}
    assert stub.requests[-1].key.fingerprint == fingerprint(KEY)
    assert [request.key.fingerprint for request in other_stub.requests] == [fingerprint(KEY)]
    assert "sk-" not in served.log
