"""What an analysis keeps for each packet, in files that are mapped: memory for runs of any size.

Columns lie as plain arrays in a folder of the run's directory, which goes when the analysis ends;
what a killed one left behind goes when the next one begins.
"""

from analyzer.recording.spill.store import Spill, spilled, store_for

__all__ = ["Spill", "spilled", "store_for"]
