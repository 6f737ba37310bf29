"""The eye that fits a link."""

from __future__ import annotations

from typing import TYPE_CHECKING

from loadgen.director.links.eye import Eye

if TYPE_CHECKING:
    from loadgen.director.links.link import Link


def eye_on(link: Link) -> Eye:
    """The eye for a link, not open yet."""
    if link.kind != "local":
        return Eye(link)
    from loadgen.director.links.local import LocalEye

    return LocalEye(link)
