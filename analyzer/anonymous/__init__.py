"""A recording without the names and addresses of those it was made at.

``substitution`` says what stands for what, ``capture`` applies it to packets, ``tables`` to columns
and ``manifest`` to ``run.json``. One key makes one substitution: the same address has the same
stand-in wherever it occurs, and addresses that share a prefix share one afterwards.
"""
