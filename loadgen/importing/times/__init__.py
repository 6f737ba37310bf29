"""Times as people's tools write them, in many languages, to seconds."""
