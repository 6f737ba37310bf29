"""A property takes the time that a busy machine lets it have."""

from hypothesis import settings

settings.register_profile("patient", settings.get_profile("default"), deadline=None)
settings.load_profile("patient")
