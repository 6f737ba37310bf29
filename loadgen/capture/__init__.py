"""Packet capture: packets to nanosecond pcap files, on the client or on a host of the path."""
