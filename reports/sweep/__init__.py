"""A sweep over values of tcpfin, as a document with its chart."""
