"""Logs: one JSON object a line, on standard error."""

import logging
import sys
from collections.abc import MutableMapping
from typing import Any

import msgspec
import structlog

# What is no JSON is said as Python says it: a line of log may never fail.
_encoder = msgspec.json.Encoder(enc_hook=repr)


def configure(level: str) -> None:
    """Have structlog and the standard library write the same lines. `level` is a name such as INFO."""
    shared: list[structlog.typing.Processor] = [
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
    ]
    # Our own lines, one for each completion among them, go to standard error by the shortest way.
    structlog.configure(
        processors=[_add_logger_name, *shared, _render],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level]),
        logger_factory=_NamedLogger,
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[structlog.stdlib.add_logger_name, *shared],
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                lambda logger, method, said: _render(logger, method, said).decode(),
            ],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level)
    # These libraries log URLs, and at debug bodies, of every call; the completion's own line says what there is to say.
    for noisy in ("aiohttp.access", "aiohttp.client"):
        logging.getLogger(noisy).setLevel(logging.WARNING)


class _NamedLogger(structlog.BytesLogger):
    def __init__(self, name: str = "") -> None:
        super().__init__(sys.stderr.buffer)
        self.name = name


def _add_logger_name(logger: Any, _: str, said: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    said["logger"] = logger.name
    return said


def _render(_: Any, __: str, said: MutableMapping[str, Any]) -> bytes:
    # With a space after each colon and comma, as people search for it.
    return msgspec.json.format(_encoder.encode(said), indent=0)
