"""The face: an Analysis becomes one HTML page."""
