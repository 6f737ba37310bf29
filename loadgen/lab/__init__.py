"""A real IPVS lab on one machine: namespaces, a bridge, a kernel per director."""
