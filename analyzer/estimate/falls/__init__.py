"""Lifetimes by packets and counters: last packets from a capture, falls from polls."""
