"""The DirectorClient for each kind of link."""

from __future__ import annotations

from typing import TYPE_CHECKING

from loadgen.director.links.client import DirectorClient

if TYPE_CHECKING:
    from loadgen.director.links.link import Link


def director_client(link: Link) -> DirectorClient:
    """The client for a link, not open yet."""
    if link.kind != "local":
        return DirectorClient(link)
    from loadgen.director.links.local import LocalDirectorClient

    return LocalDirectorClient(link)
