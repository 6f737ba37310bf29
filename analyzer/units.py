"""Units that every room counts in: nanoseconds of instants, ticks of kernels, their counters."""

NS_PER_S = 1_000_000_000
NS_PER_MS = 1_000_000

KNOWN_HZ = (100, 250, 300, 1000)
"""CONFIG_HZ as the kernel's own Kconfig.hz offers it."""

MAX_COUNTER = 2**62
"""More than any counter reaches (bytes at 100 Gbit/s: in 11 years); the sum of two fits int64."""
