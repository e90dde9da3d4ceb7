"""The command line of the stub provider."""

import argparse
import asyncio
import signal
import sys
from collections.abc import Sequence

from pointsman_stub.durations import parse_delay
from pointsman_stub.provider import StubProvider

_DESCRIPTION = "Serve the OpenAI chat and embeddings API with canned answers. For tests and demos; it knows nothing."
_LAST_PORT = 65_535
_EPILOG = """\
Faults: send the header x-stub-fault with a request, or PUT a list to /stub/faults; for example
  curl -X PUT URL/stub/faults -d '[{"model": "gpt-4o-mini", "status": 429, "retry_after": 2, "times": 3}]'
GET /stub/requests shows what was received, and GET /stub/usage what all chat answers came to.
"""


def main(arguments: Sequence[str] | None = None) -> None:
    """Serve until SIGTERM or SIGINT."""
    options = _parser().parse_args(arguments)
    try:
        asyncio.run(_serve(options))
    except OSError as error:
        sys.exit(f"pointsman-stub-provider: cannot listen on {options.host}:{options.port}: {error}")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="pointsman-stub-provider",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    parser.add_argument("--port", type=_port, default=0, help="port to listen on; 0 takes a free one (default)")
    parser.add_argument(
        "--api-key", action="append", default=[], metavar="KEY", help="a key that fits; repeatable; absent: any"
    )
    parser.add_argument(
        "--model", action="append", default=[], metavar="NAME", help="one more model to offer; repeatable"
    )
    for name, what in (
        ("--latency", "before the first byte of an answer"),
        ("--chunk-delay", "between the events of a stream"),
    ):
        parser.add_argument(
            name,
            type=_delay,
            action="append",
            default=[],
            metavar="[MODEL=]TIME",
            help=f"wait {what}: 40ms, 0.04, gpt-4o=1.5s; repeatable",
        )
    return parser


async def _serve(options: argparse.Namespace) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with StubProvider.running(
        host=options.host,
        port=options.port,
        api_keys=options.api_key,
        models=options.model,
        latency=parse_delay(options.latency),
        chunk_delay=parse_delay(options.chunk_delay),
    ) as provider:
        # Whoever started this waits for the line, so it must not stay in a buffer.
        print(f"pointsman-stub-provider listening on {provider.base_url}", flush=True)  # noqa: T201 - as promised
        await stop.wait()


def _port(text: str) -> int:
    if text.isdecimal() and int(text) <= _LAST_PORT:
        return int(text)
    raise argparse.ArgumentTypeError(f"{text!r} is no port; write a number from 0 to {_LAST_PORT}")


def _delay(text: str) -> str:
    """Check one delay while its option is still known; they are read together once all are there."""
    try:
        parse_delay([text])
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error
    return text
