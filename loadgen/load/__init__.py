"""Load.

The plan of what is sent where and from which addresses, the preflight, and the engines that carry
it out.
"""
