"""The capture on a director and on a server of a lab, through their links."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from analyzer.recording.directory import Recording
from analyzer.wire.connections import connections
from analyzer.wire.packets import read_packets
from analyzer.wire.segments import VirtualEnd, dealt_out

if TYPE_CHECKING:
    from loadgen.lab.lab import Lab

BIN = Path(sys.executable).parent
VIP = "192.168.10.2"
REQUESTS = 10
RUN_LIMIT_S = 60.0


def burst(lab: Lab, directory: Path, *flags: str) -> Any:
    """What a short burst, watched for as long as it lasts, answers with ``--json``."""
    command = [BIN / "loadgen", "burst", "--vip", VIP, "-n", str(REQUESTS), "--lab", lab.name]
    done = subprocess.run(
        [*map(str, command), "--observe", "1", "--json", "-o", str(directory), *flags],
        capture_output=True,
        text=True,
        timeout=RUN_LIMIT_S,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def packets(directory: Path) -> Any:
    (content,) = Recording.open(directory).captures().values()
    return read_packets(content)


def test_a_director_shows_what_came_and_what_it_forwarded(lab: Lab, tmp_path: Path) -> None:
    analysis = burst(lab, tmp_path / "run", "--capture-on", "bal01")
    capture = Recording.open(tmp_path / "run").manifest.raw["capture"]
    assert (capture["host"], capture["with"], capture["failure"]) == ("bal01", "tcpdump", None)
    assert capture["dropped"] == 0
    assert capture["packets"] > 0
    segments = dealt_out(packets(tmp_path / "run"), [VirtualEnd("TCP", VIP, 80)]).segments()
    rows = connections(segments)
    assert len(rows) == REQUESTS
    assert set(rows["closer"]) == {"client"}
    assert not [row for row in analysis["not_measured"] if "packets" in row["what"]]
    # on the client's clock, as well as the director's is known
    requests = Recording.open(tmp_path / "run").table("requests")
    slack_ns = 2 * capture["clock_uncertainty_ns"]
    assert segments.at_ns.min() >= requests["started"].astype("int64").min() - slack_ns
    assert segments.at_ns.max() <= requests["ended"].astype("int64").max() + 10**9


def test_a_server_shows_its_share_of_the_burst(lab: Lab, tmp_path: Path) -> None:
    burst(lab, tmp_path / "run", "--capture-on", "srv01")
    segments = dealt_out(packets(tmp_path / "run"), [VirtualEnd("TCP", VIP, 80)]).segments()
    assert len(connections(segments)) == REQUESTS / 2
    assert (~segments.to_vip).any()  # in dr its replies pass it, and not the director
