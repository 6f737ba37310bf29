"""One load under several values of tcpfin: what each costs, and how small tcpfin may be.

``waits.py`` reads from the wire for how long a closing connection falls silent, ``points.py`` makes
a run one point beside the model, ``knee.py`` names the smallest value that the clients allow,
``results.py`` is the answer as data.
"""
