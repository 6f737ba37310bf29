"""Findings about ports that meet: behind one address, with a NodePort, with an older entry."""
