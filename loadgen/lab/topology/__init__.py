"""What a lab is made of, as data.

Hosts, addresses, virtual IPs; read from flags or a file, checked, rendered. Nothing here acts.
"""
