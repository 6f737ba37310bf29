"""A lab's hosts: how each is made and reached, and what runs on it.

The scripts beside these modules run on the hosts.
"""
