"""Captures and logs made elsewhere, turned into run directories."""
