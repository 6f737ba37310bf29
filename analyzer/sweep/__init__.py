"""One load under several values of tcpfin: what each costs, and how small tcpfin may be.

``waits.py`` measures in packets how long closing connections are silent, ``points.py`` compares a
run with the model, ``knee.py`` finds the smallest value that the clients allow, ``results.py`` has
the result types.
"""
