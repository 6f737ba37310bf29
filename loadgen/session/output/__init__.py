"""A finished run's files: analysis, page, Markdown with pictures, tables; and the exit code.

It reads recordings and never changes what was recorded; it sends nothing to the network.
"""
