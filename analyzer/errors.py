"""What can go wrong while reading and thinking; both are the operator's input, exit code 2."""


class AnalyzerError(Exception):
    """One clear line: what, where, what was expected."""

    exit_code = 2


class RecordingError(AnalyzerError):
    """A run directory that is missing, of another schema version, or unreadable."""


class ParseError(AnalyzerError):
    """A text that is not what it was said to be."""
