"""What the page's charts show besides the documents.

Lifetimes beside their timeout, shares beside weights, silences of closing connections. It draws
nothing.
"""
