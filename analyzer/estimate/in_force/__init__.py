"""Which timeouts were in force when: as reported, and as the entries themselves show.

Every packet restarts its entry's timer with the timeout that is set at that moment, and
``/proc/net/ip_vs_conn`` shows what is left of it. So each entry that is read shows which timeout
held at its last packet. ``readings`` collects what was reported and what entries show, ``steps``
orders it into values and the times between which they changed, ``settle`` places a change among
packets that no entry was read of, by when their entries expired.
"""
