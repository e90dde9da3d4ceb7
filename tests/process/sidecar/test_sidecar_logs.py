"""The lines of the log: one JSON object each, whoever writes it and whatever it holds."""

import json
import subprocess
import sys

SCRIPT = """
import logging
import structlog
from pointsman_sidecar.telemetry import logs
logs.configure("INFO")
log = structlog.get_logger("pointsman.sidecar")
log.debug("nobody sees this")
log.info("completion", seconds=0.25, cost="0.1 USD", held=object, text="Grüße\\n")
logging.getLogger("grpc").warning("from %s", "a library")
logging.getLogger("aiohttp.access").info("nor this")
try:
    raise ValueError("x")
except ValueError:
    log.exception("failed")
"""


def test_each_line_is_an_object_of_json_from_us_and_from_libraries() -> None:
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, check=True)

    ours, library, failed = [json.loads(line) for line in done.stderr.splitlines()]
    assert done.stdout == b""
    assert (ours["event"], ours["logger"], ours["level"]) == ("completion", "pointsman.sidecar", "info")
    assert (ours["seconds"], ours["cost"], ours["held"], ours["text"]) == (
        0.25,
        "0.1 USD",
        "<class 'object'>",
        "Grüße\n",
    )
    assert ours["timestamp"].endswith("Z")
    assert (library["event"], library["logger"], library["level"]) == ("from a library", "grpc", "warning")
    assert failed["level"] == "error"
    assert "ValueError: x" in failed["exception"]
    assert b'"event": "completion"' in done.stderr
