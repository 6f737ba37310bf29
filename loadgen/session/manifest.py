"""``run.json``, where several commands write the same of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from analyzer.recording.directory import RecordingWriter
    from loadgen.capture.start import AnyCapture
    from loadgen.director.polling.poller import Poller


def complete_manifest(
    recording: RecordingWriter,
    captures: Sequence[AnyCapture],
    pollers: Sequence[Poller],
) -> None:
    """What is known only at the end: drops, clocks, tables, what a director did not give."""
    clients: list[Poller | AnyCapture] = [*pollers, *captures]
    polled = {poller.name: poller.manifest() for poller in pollers}
    directors = recording.manifest["directors"]
    recording.update_manifest(
        {
            "directors": {name: facts | polled.get(name, {}) for name, facts in directors.items()},
            "not_measured": [
                *recording.manifest["not_measured"],
                *(row for client in clients for row in client.not_measured()),
            ],
            "capture": captures[0].manifest() if captures else None,
        }
    )
