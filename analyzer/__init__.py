"""The core: pure functions from a recording to an Analysis."""
