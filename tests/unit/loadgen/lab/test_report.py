"""What ``lab status`` reads from a director."""

from __future__ import annotations

from loadgen.lab.settle import holds_vip

ADDRESSES = """\
2: eth1    inet 192.168.10.11/24 scope global eth1\\       valid_lft forever preferred_lft forever
2: eth1    inet 192.168.10.2/32 scope global eth1:2\\       valid_lft forever preferred_lft forever
"""


def test_the_vip_is_found_by_its_whole_address() -> None:
    assert holds_vip(ADDRESSES, "192.168.10.2")
    assert not holds_vip(ADDRESSES, "192.168.10.1")  # the beginning of .11
    assert not holds_vip(ADDRESSES.splitlines()[0], "192.168.10.2")
