"""A fail-over as clients lived it: who was master when, what was predicted, what was lost.

Theory (RFC 3768, RFC 5798): a backup takes over when it has heard nothing for its
master_down_interval; so a master that dies silently is replaced ``interval - age`` later, where
``age`` is how old its last advertisement was. One that stops cleanly says so with priority 0, and
is replaced after the backup's skew.
"""
