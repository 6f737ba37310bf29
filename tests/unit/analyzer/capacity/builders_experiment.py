"""Proofs made by hand: a lab of three directors as its tables would tell of it."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING

import pandas as pd

from analyzer.capacity.lattice import balanced_lists
from analyzer.capacity.proof.model import Experiment, Loss
from analyzer.capacity.proof.prove import prove
from analyzer.capacity.question import CapacityQuestion
from analyzer.capacity.queue import TokenBucket

if TYPE_CHECKING:
    from collections.abc import Mapping

    from analyzer.capacity.proof.model import Proof

S = 10**9
BEFORE, CRASHED_NS, AFTER = (10 * S, 18 * S), 18 * S, (22 * S, 30 * S)
DIRECTORS = ("bal01", "bal02", "bal03")
VIPS = tuple(f"192.168.10.{101 + number}" for number in range(6))
FRAME_BITS = 1242 * 8
EVEN = dict.fromkeys(DIRECTORS, 5.0)
"""Mbit/s of each director in the lab, before one of them is lost; then ``LEFT``."""
LEFT = {"bal02": 7.5, "bal03": 7.5}


def experiment(burst: str = "1", losses: tuple[Loss, ...] | None = None) -> Experiment:
    """1.5 Gbit/s over three directors and six VIPs, a hundredth of it in the lab."""
    loss = Loss(down=(0,), before=BEFORE, crashed_ns=CRASHED_NS, after=AFTER)
    return Experiment(
        question=CapacityQuestion(
            hosts=3,
            failures=1,
            link_bps=Fraction(10**9),
            ingress_bps=Fraction(15 * 10**8),
            burst=Fraction(burst),
        ),
        lists=balanced_lists(3, 1),
        vips=VIPS,
        directors=DIRECTORS,
        scale=0.01,
        link=TokenBucket(rate_bps=10e6, bucket_bytes=15_000, queue_bytes=77_500),
        planned=1,
        losses=(loss,) if losses is None else losses,
    )


def links(before_mbps: Mapping[str, float], after_mbps: Mapping[str, float]) -> pd.DataFrame:
    """Counters ten times a second that rise by these rates of the lab."""
    rows = []
    for name in before_mbps:
        count = 5_000_000.0
        for tenth in range(320):
            at_ns = tenth * S // 10
            rows.append((at_ns, name, int(count)))
            mbps = before_mbps if at_ns < CRASHED_NS else after_mbps
            count += mbps.get(name, 0.0) * 1e6 / 8 / 10
    frame = pd.DataFrame(rows, columns=["at", "host", "in_bytes"])
    return frame.assign(at=pd.to_datetime(frame["at"], utc=True))


def datagrams(lost_after: int = 0, away_s: float = 3.0) -> pd.DataFrame:
    """A hundred a second to each VIP, 0.2 ms on their way; some are lost, and some VIPs away."""
    lists = balanced_lists(3, 1)
    rows = []
    for tick in range(3100):
        sent_ns = tick * S // 100
        for vip, order in zip(VIPS, lists, strict=True):
            gone = order[0] == 0 and CRASHED_NS <= sent_ns < CRASHED_NS + away_s * S
            late = sent_ns + 200_000
            rows.append((sent_ns, sent_ns, None if gone else late, vip))
    frame = pd.DataFrame(rows, columns=["due", "sent", "received", "vip"])
    times = {
        name: pd.to_datetime(frame[name].astype("Int64"), utc=True)
        for name in ("due", "sent", "received")
    }
    frame = frame.assign(**times)
    within = frame.index[frame["sent"] >= pd.Timestamp(AFTER[0], tz="UTC")][:lost_after]
    frame.loc[within, "received"] = pd.NaT
    return frame


def as_computed() -> Proof:
    """A proof whose links carried what they should."""
    return prove(
        "runs/made",
        experiment(),
        links(dict.fromkeys(DIRECTORS, 5.0), {"bal02": 7.5, "bal03": 7.5}),
        datagrams(),
    )
