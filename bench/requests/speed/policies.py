"""The two policies that a sidecar is measured under."""

from pointsman_api.v1 import snapshot_pb2, types_pb2
from support import snapshots

_ROUTES = 32
_TEAMS = 32
_MODELS = 16
_MOST_BYTES = 4 * 1024 * 1024
# What the requests under the heavy policy say of themselves: it is the last route that they fit.
HEAVY_METADATA = {"team": f"team-{_ROUTES - 1}-{_TEAMS - 1}", "topic": "geography", "tier": "gold"}


def default_policy(base_url: str) -> snapshot_pb2.Snapshot:
    """What most have: two models, a route by severity, a fallback."""
    return snapshots.snapshot(base_url=base_url, max_request_bytes=_MOST_BYTES)


def heavy_policy(base_url: str) -> snapshot_pb2.Snapshot:
    """As much as the CRD allows: 32 routes whose conditions are all tried, 16 models, a split, fallbacks."""
    models = [
        snapshots.mini(),
        snapshots.flagship(),
        *(snapshots.model(f"model-{number}") for number in range(_MODELS - 2)),
    ]
    return snapshots.snapshot(
        base_url=base_url,
        models=models,
        routes=[_route(number) for number in range(_ROUTES)],
        fallbacks=("flagship", "model-1", "model-2", "model-3"),
        max_request_bytes=_MOST_BYTES,
        max_output_tokens=1000,
    )


def _route(number: int) -> snapshot_pb2.Route:
    teams = snapshot_pb2.Values(values=[f"team-{number}-{team}" for team in range(_TEAMS)])
    high = snapshot_pb2.SeverityMatcher(**{"in": [types_pb2.SEVERITY_CRITICAL]})
    images = snapshot_pb2.ModalityMatcher(**{"in": [types_pb2.MODALITY_IMAGE]})
    tokens = snapshot_pb2.TokensMatcher(at_least=1, less_than=120_000)
    return snapshot_pb2.Route(
        name=f"route-{number}",
        when=snapshot_pb2.Condition(
            all=[
                snapshot_pb2.Matcher(estimated_input_tokens=tokens),
                snapshot_pb2.Matcher(metadata=snapshot_pb2.MetadataMatcher(key="tier", exists=True)),
            ],
            any=[
                snapshot_pb2.Matcher(severity=high),
                snapshot_pb2.Matcher(metadata=_metadata_in("team", teams)),
            ],
            none=[snapshot_pb2.Matcher(modality=images)],
        ),
        arms=[
            snapshot_pb2.Arm(model=f"model-{number % (_MODELS - 2)}", weight=90),
            snapshot_pb2.Arm(model="mini", weight=10),
        ],
        sticky_by=snapshot_pb2.STICKY_BY_USER,
    )


def _metadata_in(key: str, values: snapshot_pb2.Values) -> snapshot_pb2.MetadataMatcher:
    matcher = snapshot_pb2.MetadataMatcher(key=key)
    getattr(matcher, "in").CopyFrom(values)
    return matcher
