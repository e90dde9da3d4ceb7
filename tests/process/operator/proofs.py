"""Tokens and certificates as tests need them."""

import base64
import json
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

import grpc

from pointsman_operator.tls import KeyPair
from pointsman_operator.tls.certificates import make_authority, make_leaf
from pure.operator.objects import Json

AUDIENCE = "pointsman.dev"
NAME = "pointsman-operator.pointsman-system.svc"
DAY = timedelta(days=1)
_NUMBERS = count()


def make_token(*, expires: float) -> str:
    """A token of its own, which looks like a service account's and says that it ends then."""
    claims = json.dumps({"exp": expires, "jti": next(_NUMBERS)}).encode()
    return f"e30.{base64.urlsafe_b64encode(claims).decode().rstrip('=')}.c2ln"


def review(name: str = "app-1", *, namespace: str = "shop", uid: str | None = None, **more: Any) -> Json:
    """What the API server says of the token of a pod."""
    extra = {
        "authentication.kubernetes.io/pod-name": [name],
        "authentication.kubernetes.io/pod-uid": [uid or f"uid-of-{namespace}-{name}"],
    }
    user = {"username": f"system:serviceaccount:{namespace}:default", "extra": extra}
    return {"authenticated": True, "audiences": [AUDIENCE], "user": user, **more}


def authority() -> KeyPair:
    """A CA."""
    return make_authority(now=datetime.now(UTC), lifetime=DAY)


def leaf(signed_by: KeyPair, *names: str) -> KeyPair:
    """A server certificate."""
    return make_leaf(signed_by, names=names or (NAME,), now=datetime.now(UTC), lifetime=DAY)


def channel(address: str, *, trusted: bytes, name: str = NAME) -> grpc.aio.Channel:
    """A channel that trusts these authorities, and wants the server to be this one."""
    credentials = grpc.ssl_channel_credentials(root_certificates=trusted)
    return grpc.aio.secure_channel(address, credentials, options=(("grpc.ssl_target_name_override", name),))
