"""How long properties search: 30 examples by default, 200 with ``HYPOTHESIS_PROFILE=thorough``."""

import gc
import os

from hypothesis import settings

# No deadline: a property takes the time that a busy machine lets it have.
settings.register_profile("default", max_examples=30, deadline=None)
settings.register_profile("thorough", max_examples=200, deadline=None)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "default"))


def pytest_collection_finish() -> None:
    """Leave modules and collected tests out of each later garbage collection."""
    gc.collect()
    gc.freeze()
