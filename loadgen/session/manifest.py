"""``run.json``, where several commands write the same of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from analyzer.recording.directory import RecordingWriter


class Measurer(Protocol):
    """An activity that knows at its end what it measured, and what it could not."""

    def manifest(self) -> dict[str, Any]:
        """Its part of ``run.json``."""

    def not_measured(self) -> list[dict[str, str]]:
        """Rows of ``not_measured``."""


class DirectorMeasurer(Measurer, Protocol):
    """One that measures a director."""

    @property
    def name(self) -> str:
        """The director's."""


def complete_manifest(
    recording: RecordingWriter,
    captures: Sequence[Measurer],
    pollers: Sequence[DirectorMeasurer],
) -> None:
    """What is known only at the end: drops, clocks, tables, what a director did not give."""
    polled = {poller.name: poller.manifest() for poller in pollers}
    directors = recording.manifest["directors"]
    recording.update_manifest(
        {
            "directors": {name: facts | polled.get(name, {}) for name, facts in directors.items()},
            "not_measured": [
                *recording.manifest["not_measured"],
                *(row for measurer in (*pollers, *captures) for row in measurer.not_measured()),
            ],
            "capture": captures[0].manifest() if captures else None,
        }
    )
