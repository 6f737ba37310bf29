"""One run from start to end, whatever it does: activities, signals, progress, manifest, printing.

It starts no load and opens no link of its own: it holds activities that other rooms hand it.
"""
