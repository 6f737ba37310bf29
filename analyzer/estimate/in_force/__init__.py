"""Which timeouts were in force when: as they were told, and as the entries themselves show.

Every packet restarts its entry's timer with the timeout that is set at that moment, and
``/proc/net/ip_vs_conn`` shows what is left of it. So each entry that is read tells which timeout
its last packet found. ``readings`` collects what was told and what entries show, ``steps`` orders
it into values and the times between which they changed, ``settle`` places a change among packets
that no entry was read of, by when their entries went.
"""
