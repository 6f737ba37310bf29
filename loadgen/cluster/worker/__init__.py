"""What a cluster's worker does: it sends, records and captures its part, and polls directors.

Here stand also the values that it and this host tell each other. Nothing here asks a worker: that
is what the rest of ``cluster`` does.
"""
