"""A director as seen from outside: links, pollers, timeouts."""
