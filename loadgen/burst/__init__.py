"""``loadgen burst``.

Its activities put together, and the decay watched until its entries have expired.
"""
