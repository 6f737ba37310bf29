"""The page of a run that is on."""
