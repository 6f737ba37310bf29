"""One run from start to end, whatever it does: activities, signals, manifest, printing.

It knows no director and no load: it holds activities that other rooms hand it.
"""
