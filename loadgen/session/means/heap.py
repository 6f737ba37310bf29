"""Memory that arrays give back is kept for the next ones, as far as the C library can (mallopt(3)).

glibc returns what lies free at the heap's end to the kernel, and asks for it again page by page:
a fifth of the processor time of a long capture's analysis, as measured once with and without.
"""

from __future__ import annotations

import ctypes

_TRIM_THRESHOLD, _TOP_PAD, _MMAP_THRESHOLD = -1, -2, -3
_SETTINGS = {
    _TRIM_THRESHOLD: 256 << 20,  # bytes that may lie free
    _TOP_PAD: 16 << 20,  # bytes that are asked for at a time
    _MMAP_THRESHOLD: 32 << 20,  # the most that glibc takes: longer arrays are always given back
}


def keep_freed_memory() -> None:
    """Tell the C library of this process; one that has no mallopt goes on as it is."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        for parameter, size_bytes in _SETTINGS.items():
            mallopt(parameter, size_bytes)
