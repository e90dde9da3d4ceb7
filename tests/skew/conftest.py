"""The versions that today's must get along with: one minor version back."""

import pytest

from skew.contract import Contract, recorded


@pytest.fixture(params=["0.1"])
def older(request: pytest.FixtureRequest) -> Contract:
    """The contract of a version that is still in use."""
    return recorded(request.param)
