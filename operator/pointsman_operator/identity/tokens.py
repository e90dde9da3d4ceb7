"""A token, as far as it may be looked at before it is proven: pure.

Nothing that is read here is believed. A claimed end can only make a token worth less than the API server says.
"""

import base64
import hashlib
import json
import math

from pointsman_operator.push import UnidentifiedError

LONGEST = 16 * 1024
_PARTS = 3


def digest(token: str) -> str:
    """What stands for a token wherever it must be remembered."""
    return hashlib.sha256(token.encode()).hexdigest()


def claimed_end(token: str, *, now: float) -> float:
    """When a token says that it ends, in seconds since 1970.

    Raise UnidentifiedError if it cannot be a service account's, or has ended.
    """
    if not token:
        raise UnidentifiedError(
            "the hello has no token; this operator believes no claim, so mount a service-account token of its audience "
            "and name it with --token-file"
        )
    parts = token.split(".")
    if len(token) > LONGEST or len(parts) != _PARTS:
        raise UnidentifiedError("the token is no service-account token; it has not the form of one")
    end = _end(parts[1])
    if end <= now:
        raise UnidentifiedError("the token has expired; the kubelet writes a fresh one well before that")
    return end


def _end(payload: str) -> float:
    try:
        claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
        end = float(claims["exp"])
    except (ValueError, TypeError, LookupError, RecursionError):
        end = math.nan
    if math.isnan(end):
        raise UnidentifiedError("the token is no service-account token of a pod; it does not say when it ends")
    return end
