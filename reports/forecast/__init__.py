"""The model's answer before anything is sent, as a page and as the terminal's lines.

The model is ``analyzer.forecast``.
"""
