"""Watching directors without load: what is shown, served and kept while a run is on."""
