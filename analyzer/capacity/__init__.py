"""Number of VIPs with which directors may fail unnoticed: plans, and their proof in a lab.

``question.py`` has the question and answer types, ``lattice.py`` the fail-over lists as a flow,
``solver.py`` the best lists for a number of VIPs, ``planner.py`` the three plans and their table,
``wording.py`` their sentences, ``document.py`` what is printed, and ``proof/`` the measurement.
"""
