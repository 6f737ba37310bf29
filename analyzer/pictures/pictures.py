"""The data of all charts of a run's page that are in no document."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from analyzer.charts.curves import Curve
    from analyzer.charts.values import LifetimeSamples, OtherTcpfin, Shares, StateSeries
    from analyzer.client.latency import Latencies
    from analyzer.pictures.fin_waits import FinWaits


@dataclass(frozen=True, slots=True, kw_only=True)
class Pictures:
    """The data of all charts; empty where the run does not have them."""

    states: tuple[StateSeries, ...] = ()
    lifetime_samples: tuple[LifetimeSamples, ...] = ()
    shares: tuple[Shares, ...] = ()
    what_if: tuple[Curve, ...] = ()  # by director, as ``Report.what_if``; sums of real servers
    tcpfin: tuple[OtherTcpfin, ...] = ()
    latencies: Latencies | None = None
    fin_waits: tuple[FinWaits, ...] = ()
