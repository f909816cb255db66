"""Settings of all tests."""

from hypothesis import settings

settings.register_profile("vecload", deadline=None)  # the first example compiles kernels
settings.load_profile("vecload")
