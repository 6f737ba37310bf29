"""Units that every room counts in: nanoseconds of instants, ticks of kernels."""

NS_PER_S = 1_000_000_000
NS_PER_MS = 1_000_000

KNOWN_HZ = (100, 250, 300, 1000)
"""CONFIG_HZ as the kernel's own Kconfig.hz offers it."""
