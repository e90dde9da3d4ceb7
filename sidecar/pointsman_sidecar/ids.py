"""Ids of decisions."""

import secrets


def new_decision_id() -> str:
    """An id that no other decision has: 16 random bytes in hex."""
    return secrets.token_hex(16)
