"""Units that every room counts in, and the most of each: instants, ticks of kernels, counters."""

NS_PER_S = 1_000_000_000
NS_PER_MS = 1_000_000

LATEST_NS = 2**62
"""In the year 2116: the last instant, Unix time, that a recording can hold."""

KNOWN_HZ = (100, 250, 300, 1000)
"""CONFIG_HZ as the kernel's own Kconfig.hz offers it."""

MAX_COUNTER = 2**62
"""More than any counter reaches (bytes at 100 Gbit/s: in 11 years); the sum of two fits int64."""
