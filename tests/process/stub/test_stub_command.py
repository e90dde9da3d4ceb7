"""The command `pointsman-stub-provider`, as another process and with the SDK's blocking client."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator

import openai
import pytest
from openai import OpenAI

_LINE = "pointsman-stub-provider listening on "


@contextlib.contextmanager
def command(*arguments: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """The running command and the URL that it printed."""
    with subprocess.Popen(
        [sys.executable, "-m", "pointsman_stub", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    ) as process:
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            assert line.startswith(_LINE)
            yield process, line.removeprefix(_LINE).strip()
        finally:
            process.kill()


def test_the_blocking_client_gets_answers_and_streams() -> None:
    with (
        command("--api-key", "sk-a", "--api-key", "sk-b", "--model", "tram-1", "--latency", "tram-1=40ms") as (_, url),
        OpenAI(base_url=url, api_key="sk-b", max_retries=0) as client,
    ):
        before = time.monotonic()
        completion = client.chat.completions.create(model="tram-1", messages=[{"role": "user", "content": "Hello?"}])
        took = time.monotonic() - before
        chunks = list(
            client.chat.completions.create(
                model="gpt-4o", messages=[{"role": "user", "content": "Hello?"}], stream=True
            )
        )

    assert (completion.choices[0].message.content or "").startswith("[tram-1] ")
    assert took >= 0.04
    assert chunks[-1].choices[0].finish_reason == "stop"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_promptly_even_while_a_request_hangs(number: signal.Signals) -> None:
    with command() as (process, url), OpenAI(base_url=url, api_key="any", max_retries=0) as client:
        control = url.removesuffix("/v1") + "/stub/faults"
        fault = urllib.request.Request(control, data=json.dumps([{"hang": 1}]).encode(), method="PUT")  # noqa: S310 - our own URL
        with urllib.request.urlopen(fault):  # noqa: S310 - our own URL
            pass
        stream = client.chat.completions.create(
            model="gpt-4o", messages=[{"role": "user", "content": "Hello?"}], stream=True
        )
        next(stream)

        process.send_signal(number)

        assert process.wait(timeout=5) == 0
        with pytest.raises(openai.APIConnectionError):
            next(stream)
        assert process.stderr is not None
        assert process.stderr.read() == ""


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--latency", "soon"], "'soon' is no duration; write seconds (0.04) or a unit (40ms, 1.5s)"),
        (["--port", "70000"], "'70000' is no port; write a number from 0 to 65535"),
        (["--host", "203.0.113.1"], "cannot listen on 203.0.113.1:0"),
    ],
)
def test_bad_options_are_refused_in_a_sentence(arguments: list[str], complaint: str) -> None:
    result = subprocess.run(
        [sys.executable, "-m", "pointsman_stub", *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )

    assert result.returncode != 0
    assert complaint in result.stderr
    assert "Traceback" not in result.stderr
