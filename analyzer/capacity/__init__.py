"""How many VIPs let directors die without anybody noticing: plans, and the proof of each.

``question.py`` has what is asked and what is answered, ``lattice.py`` the fail-over lists as a
flow, ``solver.py`` the best lists for a number of VIPs, ``planner.py`` the three plans and their
table, ``wording.py`` what is said of them, and ``results.py`` the JSON.
"""
