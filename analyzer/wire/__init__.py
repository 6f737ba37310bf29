"""Packets to tables: pcap files, connections, VRRP."""
