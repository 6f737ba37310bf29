"""The proof of a plan of VIPs in a lab: traffic in proportion, directors that die, shares measured.

``schedule.py`` says when datagrams are due, ``traffic.py`` sends them and sees them arrive in a
process of its own, ``meters.py`` are the run's activities that record, ``losses.py`` kills the
directors in turn, and ``prove.py`` puts the lab, the run and its end together. What it comes to is
the analyzer's business (``analyzer/capacity/proof.py``).
"""
