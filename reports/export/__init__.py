"""Exports of a run: Markdown, tables, pictures, and judgements in the formats of pipelines.

They have no number that the page does not have.
"""
