"""What holds for all tests."""

from hypothesis import settings

# On a shared, noisy machine an example's time says nothing. What failed is printed so that it can be replayed.
settings.register_profile("pointsman", deadline=None, print_blob=True)
settings.load_profile("pointsman")
