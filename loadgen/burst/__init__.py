"""``loadgen burst``.

Its activities put together, and the decay watched until the directors have forgotten it.
"""
