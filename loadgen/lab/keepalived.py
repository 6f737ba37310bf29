"""The one renderer of keepalived.conf (keepalived.conf(5))."""

from __future__ import annotations

from typing import TYPE_CHECKING

from loadgen.lab.topology import INTERFACE

if TYPE_CHECKING:
    from loadgen.lab.topology import Host, Topology

TEMPLATE = """\
global_defs {{
   router_id {router_id}
}}

vrrp_instance VI_1 {{
    state {state}
    interface {interface}
    virtual_router_id {virtual_router_id}
    priority {priority}
    advert_int {advert_interval_s}

   virtual_ipaddress {{
       {vip}/32 dev {interface} label {interface}:2
    }}
}}
"""


def render(topology: Topology, director: Host) -> str:
    """One director's keepalived.conf: the VIP by VRRP; IPVS rules are ipvsadm's business."""
    return TEMPLATE.format(
        router_id=director.name,
        state="MASTER" if director == topology.first_master else "BACKUP",
        interface=INTERFACE,
        virtual_router_id=topology.virtual_router_id,
        priority=director.priority,
        advert_interval_s=topology.advert_interval_s,
        vip=topology.vip,
    )
