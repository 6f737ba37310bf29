"""How long properties search (``HYPOTHESIS_PROFILE=thorough``: longer); what a failure shows."""

import gc
import os
import subprocess

import pytest
from hypothesis import HealthCheck, settings

# No deadline, and no "too slow": a property takes the time that a busy machine lets it have.
settings.register_profile(
    "default", max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.register_profile("thorough", settings.get_profile("default"), max_examples=200)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "default"))


# Collecting makes a million objects of which none goes: looking for garbage is a third of its time.
gc.disable()


def pytest_collection_finish() -> None:
    """Leave modules and collected tests out of each later garbage collection."""
    gc.collect()
    gc.freeze()
    gc.enable()


def pytest_runtest_makereport(call: pytest.CallInfo[None]) -> None:
    """Show what a command that failed wrote to standard error: its exception does not."""
    error = call.excinfo and call.excinfo.value
    if isinstance(error, subprocess.CalledProcessError) and error.stderr:
        error.add_note(f"standard error: {error.stderr!r:.4000}")
