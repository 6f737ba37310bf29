"""Single connections told packet by packet: which are worth it, and what happened to each."""
