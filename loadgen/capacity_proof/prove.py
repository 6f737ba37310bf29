"""A proof of capacity from the lab's start to its end; a recording is left, and no lab."""

from __future__ import annotations

import asyncio
import platform
import secrets
import socket
import time
from dataclasses import dataclass, replace
from itertools import combinations
from typing import TYPE_CHECKING, Any

import loadgen
from analyzer.capacity.proof.manifest import KEY, to_manifest
from analyzer.capacity.proof.model import Experiment
from analyzer.capacity.queue import TokenBucket
from analyzer.recording.directory import RecordingWriter
from loadgen.capacity_proof.losses import Losses
from loadgen.capacity_proof.meters import Datagrams, LinkCounters
from loadgen.capacity_proof.schedule import flows, frames_per_s
from loadgen.capacity_proof.traffic import Stream
from loadgen.errors import UsageProblem
from loadgen.lab.faults.changes import bucket_bytes, queue_bytes
from loadgen.lab.faults.recorder import LabEvents
from loadgen.lab.system import interruption
from loadgen.lab.temporary import TemporaryLab
from loadgen.lab.topology.emit import topology_of
from loadgen.lab.topology.model import namespace
from loadgen.session.run import run

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from analyzer.capacity.question import CapacityQuestion, Lists
    from loadgen.lab.lab import Lab
    from loadgen.session.run import Ended

LAB_NAME = "capacity"
USUAL_SCALE = 1 / 100
"""10 Mbit/s for a Gbit/s."""
LAB_INGRESS_BPS = (4e6, 30e6)
"""What the lab is sent, at least for its links to be worth measuring and at most for two CPUs."""
UDP_PORT = 9000


@dataclass(frozen=True, slots=True, kw_only=True)
class ProofOptions:
    """How a plan is proven.

    Attributes:
        lists: per VIP its directors, first choice first.
        window_s: before and after each loss.
        kill: directors; only losses of these are brought about, or of any if it is empty.
    """

    question: CapacityQuestion
    lists: Lists
    window_s: float
    kill: Sequence[str]
    directory: Path
    command_line: Sequence[str]
    lab_name: str = LAB_NAME


def lab_scale(ingress_bps: float) -> float:
    """A bit rate of the lab over the one that was asked for."""
    least, most = LAB_INGRESS_BPS
    return min(max(USUAL_SCALE, least / ingress_bps), most / ingress_bps)


def losses_of(
    directors: Sequence[str], failures: int, kill: Sequence[str]
) -> list[tuple[int, ...]]:
    """Each set of so many directors, of those that may be killed.

    Raises:
        UsageProblem: a name that no director has, or too few of them.
    """
    for name in kill:
        if name not in directors:
            raise UsageProblem(f"--kill {name}: expected one of {', '.join(directors)}")
    mortal = [number for number, name in enumerate(directors) if not kill or name in kill]
    sets = list(combinations(mortal, failures))
    if not sets:
        raise UsageProblem(f"--kill: expected {failures} directors, as --failures has it")
    return sets


def prove_plan(options: ProofOptions, say: Callable[[str], None]) -> Ended:
    """Bring the lab up, measure, take the lab down whatever happens; a recording is left.

    Raises:
        UsageProblem: this machine cannot, or a director is to be killed that there is not.
        RunFailed: the lab did not do as it should, or another proof is in it.
        RecordingError: the directory cannot take a recording.
    """
    interruption.install()
    made = replace(topology_of(options.lists, options.question.hosts), udp_port=UDP_PORT)
    with TemporaryLab(made, options.lab_name, say) as lab, asyncio.Runner() as runner:
        try:
            return runner.run(prove_in(lab, options, say))
        finally:
            interruption.install()  # the run had handlers of its own, and took them away


async def prove_in(lab: Lab, options: ProofOptions, say: Callable[[str], None]) -> Ended:
    """Limit the links, send, kill the directors in turn; a recording is left.

    Raises:
        UsageProblem: a director to be killed that there is not.
        RunFailed: the lab did not do as it should.
        RecordingError: the directory cannot take a recording.
    """
    sets = losses_of(lab.director_names, options.question.failures, options.kill)
    experiment = _experiment(lab, options, len(sets))
    recording = RecordingWriter(options.directory, _manifest(lab, options, experiment))
    for director in lab.directors.values():
        await asyncio.to_thread(director.inward_rate, experiment.link.rate_bps)
    datagrams = Datagrams(_stream(lab, experiment), list(lab.servers), recording)
    losses = Losses(
        lab,
        experiment,
        sets=sets,
        window_s=options.window_s,
        datagrams=datagrams,
        note=lambda grown: recording.update_manifest({KEY: to_manifest(grown)}),
        say=say,
    )
    activities = [LinkCounters(lab, recording), datagrams, LabEvents(lab.name, recording), losses]
    return await run(activities, recording)


def _experiment(lab: Lab, options: ProofOptions, planned: int) -> Experiment:
    question = options.question
    scale = lab_scale(float(question.ingress_bps))
    rate_bps = float(question.link_bps) * scale
    return Experiment(
        question=question,
        lists=options.lists,
        vips=tuple(vip.address for vip in lab.topology.vips),
        directors=lab.director_names,
        scale=scale,
        link=TokenBucket(
            rate_bps=rate_bps,
            bucket_bytes=bucket_bytes(rate_bps),
            queue_bytes=queue_bytes(rate_bps),
        ),
        planned=planned,
        losses=(),
    )


def _stream(lab: Lab, experiment: Experiment) -> Stream:
    question = experiment.question
    return Stream(
        client=lab.client_namespace,
        servers=tuple(namespace(lab.name, name) for name in lab.servers),
        vips=experiment.vips,
        port=UDP_PORT,
        flows=flows(len(experiment.vips)),
        rate_per_s=frames_per_s(float(question.ingress_bps) * experiment.scale),
        burst=float(question.burst),
        token=secrets.randbits(64),
    )


def _manifest(lab: Lab, options: ProofOptions, experiment: Experiment) -> dict[str, Any]:
    return {
        "program": {"name": "loadgen", "version": loadgen.__version__},
        "command": "capacity-proof",
        "command_line": list(options.command_line),
        "started_at_ns": time.time_ns(),
        "ended": None,
        "host": {"name": socket.gethostname(), "kernel": platform.release()},
        "lab": lab.name,
        "service": None,
        "directors": {},
        "capture": None,
        "not_measured": [{"what": "requests", "why": "datagrams were sent, one way"}],
        KEY: to_manifest(experiment),
    }
