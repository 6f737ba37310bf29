"""The kernel's own texts below /proc/net, read fast and exactly.

What people paste is read by ``ipvsadm``.
"""
