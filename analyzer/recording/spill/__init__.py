"""What an analysis keeps for each packet, in files that are mapped: memory for runs of any size.

Columns lie as plain arrays in a folder of the run's directory, which goes when the analysis ends;
what a killed one left behind goes when the next one begins.
"""

from analyzer.recording.spill.folder import (
    directory_until_whole,
    spill_folder,
    temporary_folder,
)
from analyzer.recording.spill.store import ALONE, SPILLED_BYTES, Means, Spill, spilled, store_for
from analyzer.recording.spill.tasks import Workers

__all__ = [
    "ALONE",
    "SPILLED_BYTES",
    "Means",
    "Spill",
    "Workers",
    "directory_until_whole",
    "spill_folder",
    "spilled",
    "store_for",
    "temporary_folder",
]
