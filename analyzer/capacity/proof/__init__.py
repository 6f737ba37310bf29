"""The proof of a plan: what each director carried, lost and delayed, against the computed.

A lab has the plan's directors, with links and traffic scaled down. In a window before and one
after each loss of directors the counters of the directors' links and the datagrams are evaluated.
Rates are given in the size of the question, not of the lab.
"""
