"""A page that is not the page of one run: its content as values, in HTML and for the terminal.

Every other room builds one ``Document``; this one shows it, and knows none of them.
"""
