"""What holds for all tests."""

from hypothesis import settings

# These machines are shared and noisy: an example's time says nothing. What failed is printed so that it can be replayed.
settings.register_profile("pointsman", deadline=None, print_blob=True)
settings.load_profile("pointsman")
