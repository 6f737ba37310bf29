"""What is done to a lab that is up.

Faults, weights, slow links, each an event of the run that is on.
"""
