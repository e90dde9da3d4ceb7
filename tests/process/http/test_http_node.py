"""The door by OpenAI's own client for Node, unmodified."""

import asyncio
import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from pointsman_stub import Fault, StubProvider
from support.http_doors import APP_KEY
from support.sidecars import Sidecar

NODE = shutil.which("node")
APP = Path(__file__).with_name("app.mjs")
CLIENT = Path(__file__).resolve().parents[3] / "node_modules" / "openai"

pytestmark = pytest.mark.skipif(
    not os.environ.get("CI") and (NODE is None or not CLIENT.exists()),
    reason="needs Node, and its packages: install Node.js, then run make test",
)


async def test_nodes_client_works_by_its_base_url_alone(sidecar: Sidecar, stub: StubProvider) -> None:
    assert NODE is not None
    stub.set_faults(Fault(model="gpt-4o", hang=3))
    process = await asyncio.create_subprocess_exec(
        NODE,
        APP,
        stdout=subprocess.PIPE,
        env={"PATH": os.environ["PATH"], "OPENAI_BASE_URL": sidecar.http_url, "OPENAI_API_KEY": APP_KEY},
    )
    out, _ = await process.communicate()

    assert process.returncode == 0
    said = json.loads(out)
    assert said["whole"].startswith('[gpt-4o-mini] Canned answer to "What is the weather?".')
    assert said["streamed"] == said["whole"]
    assert (said["model"], said["requestId"]) == ("mini", True)
    assert said["call"] == {"name": "get_weather", "arguments": '{"city":"Oslo"}'}
    assert said["accumulated"] == '{"city":"Oslo"}'
    assert said["total"] == "number"
    assert said["response"] == said["responseStreamed"]
    assert said["embedding"] == 8
    assert said["models"] == ["auto", "mini", "flagship", "embed"]
    assert said["chunksBeforeAbort"] >= 1
    assert said["badRequest"] == {"name": "BadRequestError", "status": 400, "code": "invalid_request"}
    assert said["notFound"] == {"name": "NotFoundError", "status": 404, "code": "model_not_found"}
    assert said["refused"] == {"name": "BadRequestError", "status": 400, "code": "invalid_request"}
    assert said["timeout"]["name"] == "APIConnectionTimeoutError"
    await stub.until(lambda: stub.open_requests == 0)
    assert [each.model for each in stub.requests if each.disconnected] == ["gpt-4o", "gpt-4o"]
