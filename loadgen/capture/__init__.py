"""The eye on the wire: packets to nanosecond pcap files, on the client or on a host of the path."""
