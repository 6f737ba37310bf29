"""Polling a director, in the client's clock: what is asked how often, and the rows it becomes.

It changes nothing on a director, and judges nothing that it reads.
"""
