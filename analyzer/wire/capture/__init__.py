"""Capture files: pcap and pcapng, link layers and encapsulations, to the bytes of each packet."""
