"""The service table: of ``ipvsadm -L`` with any of its options, and ``/proc/net/ip_vs``.

Rows are collected first and understood at the end of their table, since a row alone does not always
say who printed it: ``FWM  12345678 rr`` is mark 12,345,678 from ipvsadm (``%d``) and 305,419,896
from the kernel (``%08X``). Its neighbours decide.
"""
