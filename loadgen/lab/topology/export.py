"""What a real deployment of a lab's topology needs, as files; rendered by pure functions.

One directory per host, and a Vagrantfile for VirtualBox that makes the same hosts and installs
those files. keepalived reads each ``keepalived.conf``, ipvsadm-restore each ``ipvs.rules``,
sysctl --system each ``90-ipvs.conf``, netplan each ``60-lab.yaml``; of directors without IPVS
``nft -f`` each ``nft.rules``, iptables-legacy-restore each ``iptables.rules``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from loadgen.errors import RunFailed
from loadgen.lab.hosts import guest, keepalived, netfilter, nginx
from loadgen.lab.system import wiring
from loadgen.lab.topology.model import (
    GATEWAY,
    INTERFACE,
    PREFIX_LENGTH,
    PREFIX_LENGTH6,
    Role,
    address6,
    triple,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from loadgen.lab.topology.model import Host, Topology

Style = str
"""``ipvsadm`` or ``virtual-server``: where the IPVS rules are."""

BOX = "bento/debian-12"
MEMORY_MB = 512


def write(topology: Topology, directory: Path, style: Style) -> list[Path]:
    """Write all files; those of the same name are replaced, others are left alone.

    Raises:
        RunFailed: the directory cannot be written.
    """
    written = []
    try:
        for name, content in sorted(files(topology, style).items()):
            path = directory / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content)
            written.append(path)
    except OSError as error:
        raise RunFailed(f"export to {directory}: {error}") from error
    return written


def files(topology: Topology, style: Style) -> Mapping[str, str]:
    """Every file by its name below the directory."""
    made = {"Vagrantfile": vagrantfile(topology)}
    for host in topology.hosts:
        for name, content in _host_files(topology, host, style).items():
            made[f"{host.name}/{name}"] = content
    return made


def keepalived_conf(topology: Topology, director: Host, style: Style) -> str:
    """One director's keepalived.conf, in the virtual-server style with the services in it."""
    text = keepalived.render(topology, director) if _has_keepalived(topology) else ""
    if style == "virtual-server" and topology.has_ipvs:
        text += "".join(f"\n{block}" for block in keepalived.virtual_servers(topology))
    return text


def sysctl_conf(topology: Topology, host: Host) -> str:
    """What a host needs, as sysctl.d(5) reads it.

    What is there to keep a lab's captures quiet is left out, a User-Mode Linux's card too.
    """
    values = wiring.sysctls(topology, host)
    lines = [
        f"{name.replace('/', '.')} = {value}"
        for name, value in values.items()
        if not name.startswith("ipv6/conf") or name.endswith("/forwarding")
    ]
    return "".join(f"net.{line}\n" for line in lines)


def netplan(topology: Topology, host: Host) -> str:
    """The host's addresses and routes (netplan(5)); a director's VIPs only where static."""
    lines = ["network:", "  version: 2", "  renderer: networkd", "  ethernets:"]
    lines += [f"    {INTERFACE}:", "      addresses:"]
    lines += [f'        - "{address}"' for address in _addresses(topology, host)]
    if host.role is Role.SERVER and topology.forwarding == "nat":
        gateways = [GATEWAY, *([address6(GATEWAY)] if topology.ipv6 else [])]
        lines.append("      routes:")
        for gateway in gateways:
            default = "::/0" if ":" in gateway else "0.0.0.0/0"
            lines += [f'        - to: "{default}"', f'          via: "{gateway}"']
    lo = list(_loopback(topology, host))
    if lo:
        lines += ["    lo:", "      addresses:", *(f'        - "{address}"' for address in lo)]
    return "\n".join(lines) + "\n"


def vagrantfile(topology: Topology) -> str:
    """The same hosts in VirtualBox, each provisioned with its files of this directory."""
    hosts = ",\n".join(
        f"  '{host.name}' => {{ mac: '{host.mac.replace(':', '').upper()}', role: '{host.role}' }}"
        for host in topology.hosts
    )
    return VAGRANTFILE.format(
        hosts=hosts,
        box=BOX,
        memory=MEMORY_MB,
        interface=INTERFACE,
        tunnel=_tunnel(topology),
        packages="ipvsadm" if topology.has_ipvs else topology.director_kind,
        modules="ip_vs" if topology.has_ipvs else "nf_conntrack",
    )


def _host_files(topology: Topology, host: Host, style: Style) -> dict[str, str]:
    made = {"60-lab.yaml": netplan(topology, host)}
    if host.role is not Role.CLIENT:
        made["90-ipvs.conf"] = sysctl_conf(topology, host)
    if host.role is Role.SERVER:
        made["nginx.conf"] = nginx.site(topology, host)
    if host.role is Role.DIRECTOR:
        made |= _director_files(topology, host, style)
    return made


def _director_files(topology: Topology, director: Host, style: Style) -> dict[str, str]:
    conf = keepalived_conf(topology, director, style)
    made = {"keepalived.conf": conf} if conf else {}
    if not topology.has_ipvs:
        return made | netfilter.files(topology)
    made["timeouts"] = f"ipvsadm --set {triple(topology.timeouts, ' ')}\n"
    if style == "ipvsadm":
        made["ipvs.rules"] = "".join(f"{rule}\n" for rule in guest.ipvs_rules(topology))
    if topology.conn_tab_bits is not None:
        made["ip_vs.conf"] = f"options ip_vs conn_tab_bits={topology.conn_tab_bits}\n"
    return made


def _has_keepalived(topology: Topology) -> bool:
    return topology.vip_by == "keepalived"


def _addresses(topology: Topology, host: Host) -> Iterator[str]:
    addresses = [host.address]
    if host.role is Role.DIRECTOR and topology.forwarding == "nat":
        addresses.append(host.inside)
    for address in addresses:
        yield f"{address}/{PREFIX_LENGTH}"
        if topology.ipv6:
            yield f"{address6(address)}/{PREFIX_LENGTH6}"
    if host.role is Role.DIRECTOR and not _has_keepalived(topology):
        yield from _held(
            topology, [v.address for v in topology.vips if v.first_master == host.name]
        )


def _loopback(topology: Topology, host: Host) -> Iterator[str]:
    """A real server's VIPs: on ``lo`` in dr, and in tun too, where tunl0 only takes packets in."""
    if host.role is Role.SERVER and topology.forwarding != "nat":
        yield from _held(topology, [vip.address for vip in topology.vips])


def _held(topology: Topology, addresses: list[str]) -> Iterator[str]:
    if addresses and topology.forwarding == "nat":
        addresses = [*addresses, GATEWAY]
    for address in addresses:
        yield f"{address}/32"
        if topology.ipv6:
            yield f"{address6(address)}/128"


def _tunnel(topology: Topology) -> str:
    if topology.forwarding != "tun":
        return ""
    return """
if [ "$2" = server ]; then
  printf 'ipip\\nip6_tunnel\\n' >/etc/modules-load.d/lab.conf
  modprobe -a ipip ip6_tunnel
  ip link set tunl0 up
  sysctl -q -w net.ipv4.conf.tunl0.rp_filter=0
fi"""


VAGRANTFILE = """\
# Made by `loadgen lab export`: the lab's hosts in VirtualBox, on a network of their own.
HOSTS = {{
{hosts}
}}

SETUP = <<-'SHELL'
set -e
export DEBIAN_FRONTEND=noninteractive
cd "/vagrant/$1"
hostnamectl set-hostname "$1"
apt-get -q update
apt-get -q -y install netplan.io
case "$2" in
  director) apt-get -q -y install {packages} keepalived ;;
  server) apt-get -q -y install nginx-light ;;
esac
[ ! -e ip_vs.conf ] || cp ip_vs.conf /etc/modprobe.d/
[ "$2" != director ] || modprobe {modules}
[ ! -e 90-ipvs.conf ] || {{ cp 90-ipvs.conf /etc/sysctl.d/; sysctl -q --system; }}
install -m 600 60-lab.yaml /etc/netplan/60-lab.yaml
netplan apply{tunnel}
if [ -e nginx.conf ]; then
  cp nginx.conf /etc/nginx/sites-available/default
  systemctl reload nginx
fi
if [ "$2" = director ]; then
  [ ! -e ipvs.rules ] || {{ ipvsadm -C; ipvsadm -R <ipvs.rules; }}
  if [ -e keepalived.conf ]; then
    cp keepalived.conf /etc/keepalived/
    systemctl restart keepalived
  fi
  [ ! -e timeouts ] || sh ./timeouts
  [ ! -e nft.rules ] || nft -f nft.rules
  [ ! -e iptables.rules ] || iptables-legacy-restore <iptables.rules
  [ ! -e ip6tables.rules ] || ip6tables-legacy-restore <ip6tables.rules
fi
SHELL

Vagrant.configure("2") do |config|
  config.vm.box = "{box}"
  config.vm.provider "virtualbox" do |virtualbox|
    virtualbox.memory = {memory}
    virtualbox.customize ["modifyvm", :id, "--nicpromisc2", "allow-all"]
  end
  HOSTS.each do |name, host|
    config.vm.define name do |node|
      node.vm.network "private_network",
        virtualbox__intnet: true, auto_config: false, mac: host[:mac]
      node.vm.provision "shell", inline: SETUP, args: [name, host[:role]]
    end
  end
end
"""
