"""The examples of the docs, run as they stand there but for the port."""

import asyncio
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from support.sidecars import Sidecar

ROOT = Path(__file__).resolve().parents[3]
DEFAULT = "http://127.0.0.1:8083/v1"


@pytest.mark.parametrize(("page", "says"), [("README.md", "[gpt-4o-mini]"), ("docs/http.md", "mini DEFAULT")])
async def test_an_example_says_what_it_should(sidecar: Sidecar, page: str, says: str) -> None:
    (example,) = re.findall(r"```python\n(.*?)```", (ROOT / page).read_text(encoding="utf-8"), re.DOTALL)
    assert DEFAULT in example

    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", example.replace(DEFAULT, sidecar.http_url), stdout=subprocess.PIPE
    )
    said, _ = await process.communicate()

    assert process.returncode == 0
    assert says in said.decode()


@pytest.mark.skipif(shutil.which("curl") is None, reason="there is no curl")
async def test_curl_is_called_as_the_docs_say(sidecar: Sidecar) -> None:
    page = (ROOT / "docs/http.md").read_text(encoding="utf-8")
    command = page.partition("$ curl ")[2].partition("```")[0]

    process = await asyncio.create_subprocess_shell(
        f"curl --silent {command.replace(DEFAULT, sidecar.http_url)}", stdout=subprocess.PIPE
    )
    said, _ = await process.communicate()

    assert b'"pointsman":{"id"' in said
    assert b'"route":"risky"' in said
