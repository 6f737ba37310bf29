"""A sweep over values of tcpfin, as a page, a chart and the terminal's lines."""
