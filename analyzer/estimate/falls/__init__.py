"""Lifetimes by packets and counters: the last packets are known, and the falls are seen."""
