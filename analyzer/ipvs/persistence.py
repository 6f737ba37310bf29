"""Persistence: the template that ties a client to a real server, and when it expires.

A template is an entry with client port 0. Each connection that it serves restarts its timer with
the persistence time as it is *created*; it counts neither as active nor as inactive. If it still
controls entries when its timer fires, it is put off by 60 s, again and again
(``ip_vs_conn_expire``, ``ip_vs_sched_persist``).
"""

PUT_OFF_S = 60.0
