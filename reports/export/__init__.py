"""A run as something else than a page.

Markdown, tables, pictures, and judgements in the formats of pipelines. No number that the page does
not have.
"""
