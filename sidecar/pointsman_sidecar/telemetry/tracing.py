"""Where spans go: over OTLP where an endpoint is set, nowhere else.

The settings are OpenTelemetry's own environment variables (OTEL_EXPORTER_OTLP_ENDPOINT, OTEL_TRACES_SAMPLER and so on).
"""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from pointsman_sidecar.telemetry.spans import NoSpans, Spans

_ENDPOINTS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")


@contextmanager
def spans(environment: Mapping[str, str], *, service: str) -> Iterator[Spans]:
    """Where spans go; leaving the context sends what is left. `service` names it where OTEL_SERVICE_NAME does not."""
    if not any(environment.get(name) for name in _ENDPOINTS) or environment.get("OTEL_SDK_DISABLED") == "true":
        yield NoSpans()
        return
    # 30 MiB and half a second, paid where spans are exported only.
    from pointsman_sidecar.telemetry.exporting import exported  # noqa: PLC0415

    name = environment.get("OTEL_SERVICE_NAME") or service
    with exported(service=name, clock=time.time_ns) as recorded:
        yield recorded
