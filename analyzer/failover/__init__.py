"""A fail-over as clients saw it: who was master when, what was predicted, what was lost.

Theory (RFC 3768, RFC 5798): a backup takes over when it has received no advertisement for its
master_down_interval; so a master that fails silently is replaced ``interval - age`` later, where
``age`` is the age of its last advertisement. One that stops cleanly announces priority 0, and is
replaced after the backup's skew.
"""
