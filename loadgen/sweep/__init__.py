"""``loadgen sweep``: a burst for each value of tcpfin, and the timeouts put back at the end."""
