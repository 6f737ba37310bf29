"""Polling a director: how often what may be read, in whose clock, and its rows of the recording."""
