"""The DirectorClient for each kind of link."""

from __future__ import annotations

from typing import TYPE_CHECKING

from loadgen.director.links.client import DirectorClient
from loadgen.errors import UsageProblem

if TYPE_CHECKING:
    from loadgen.director.links.link import Link


def director_client(link: Link) -> DirectorClient:
    """The client for a link from this host, not open yet.

    Raises:
        UsageProblem: it begins at a worker of a cluster.
    """
    if link.worker is not None:
        raise UsageProblem(
            f"--director {link.spec}: expected --cluster, whose worker that is (loadgen burst)"
        )
    if link.kind != "local":
        return DirectorClient(link)
    from loadgen.director.links.local import LocalDirectorClient

    return LocalDirectorClient(link)
