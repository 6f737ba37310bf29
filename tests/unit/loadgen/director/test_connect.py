"""The names that directors have once they have been connected."""

from __future__ import annotations

import asyncio
import socket
from typing import TYPE_CHECKING

import pytest

from loadgen.director.connect import adopt_host_names, present_link
from loadgen.director.links.client import DirectorClient
from loadgen.director.links.link import parse_link

if TYPE_CHECKING:
    from collections.abc import Sequence

POD = "exec:kubectl exec -i kube-proxy-x --"


def clients(pairs: Sequence[tuple[str, str | None]]) -> list[DirectorClient]:
    """Clients of links, whose hosts call themselves so."""
    made = []
    for spec, host_name in pairs:
        client = DirectorClient(parse_link(spec))
        client.host_name = host_name
        made.append(client)
    return made


@pytest.mark.parametrize(
    ("pairs", "names"),
    [
        ([(POD, "node-3")], ["node-3"]),
        ([(POD, None)], ["kube-proxy-x"]),
        ([(POD, "localhost")], ["kube-proxy-x"]),
        ([(POD, "here")], ["kube-proxy-x"]),  # ours: a namespace of this machine
        ([(f"lb1={POD}", "node-3")], ["lb1"]),
        ([("ssh://root@10.0.0.1", "node-3")], ["10.0.0.1"]),
        ([("local", "node-3")], ["local"]),
        ([("exec:docker exec -i lb1", "0123456789ab")], ["docker exec -i lb1"]),
        ([("exec:vagrant ssh lb1 -c", "lb1")], ["lb1"]),
        ([("exec:a", "one"), ("exec:b", "one")], ["a", "b"]),
        ([("exec:a", "lb1"), ("lb1=exec:b", "one")], ["a", "lb1"]),
        ([("exec:a", "\x1b[2J"), ("exec:b", "x" * 64)], ["a", "b"]),
    ],
)
def test_a_director_that_a_command_reaches_is_called_as_its_host(
    pairs: list[tuple[str, str | None]], names: list[str]
) -> None:
    made = clients(pairs)
    adopt_host_names(made, "here")
    assert [client.link.name for client in made] == names
    assert [client.link.argv for client in made] == [parse_link(spec).argv for spec, _ in pairs]


def test_the_host_that_captures_is_called_as_the_director_that_it_is() -> None:
    made = clients([(POD, "node-3"), ("local", None)])
    adopt_host_names(made, "here")
    found = present_link(parse_link(POD), made)
    assert found is not None
    assert found.name == "node-3"
    other = parse_link("ssh://root@elsewhere")
    assert present_link(other, made) is other
    assert present_link(None, made) is None


def test_the_same_link_from_two_workers_is_two_hosts() -> None:
    one, other = (parse_link(f"{name}=worker:{name}") for name in ("lb1", "lb2"))
    made = [DirectorClient(one), DirectorClient(other)]
    assert present_link(other, made) is other
    assert present_link(parse_link("local"), made) == parse_link("local")


def test_names_are_asked_of_the_host() -> None:

    async def asked() -> str | None:
        client = DirectorClient(parse_link("exec:env"))
        await client.open()
        try:
            return client.host_name
        finally:
            await client.close()

    assert asyncio.run(asked()) == socket.gethostname()
