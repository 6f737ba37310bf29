"""The table of quantities: name, meaning, and the function that reads it.

An expectation holds if it holds for every Reading that its quantity gives.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from analyzer.checks import readings
from analyzer.findings.ids import IDS
from analyzer.ipvs.states import State
from analyzer.predicted.entries import DROP_ENTRY, EXPIRE_NODEST, FLUSH, PORT_REUSE

if TYPE_CHECKING:
    from collections.abc import Mapping

    from analyzer.checks.grammar import Dimension
    from analyzer.checks.readings import Read

Kind = Literal["time", "latency", "share", "rate", "number", "word"]
Grows = Literal["never", "with the load", "to the end"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Quantity:
    """A quantity that can be checked.

    ``grows`` says until when it can only grow: an interrupted run might have exceeded more.
    """

    kind: Kind
    meaning: str
    read: Read
    arguments: str = ""
    first_of: frozenset[str] = frozenset()  # what the first argument may be; empty for anything
    grows: Grows = "never"

    @property
    def dimension(self) -> Dimension | Literal["word"]:
        """The dimension of its values."""
        if self.kind == "word":
            return "word"
        return "time" if self.kind == "latency" else self.kind


STATES = frozenset(state.name for state in State)
CAUSES = frozenset({PORT_REUSE, EXPIRE_NODEST, DROP_ENTRY, FLUSH})
LATENCY = re.compile(r"(connect|first_byte|total)_(p\d{1,2}(?:\.\d{1,3})?|max)")


def quantity_of(name: str) -> Quantity | None:
    """The quantity with a name; None if there is none."""
    match = LATENCY.fullmatch(name)
    if match:
        stage, point = match[1], match[2]
        meaning = f"{stage.replace('_', ' ')} time, {point}"
        grows: Grows = "with the load" if point == "max" else "never"
        read = readings.latency(stage, point)
        return Quantity(kind="latency", meaning=meaning, read=read, grows=grows)
    return QUANTITIES.get(name)


QUANTITIES: Mapping[str, Quantity] = {
    "tcp": Quantity(
        kind="time",
        meaning="the tcp timeout (ESTABLISHED) as measured",
        read=readings.timeout("tcp"),
        arguments="[director]",
    ),
    "tcpfin": Quantity(
        kind="time",
        meaning="the tcpfin timeout (FIN_WAIT) as measured",
        read=readings.timeout("tcpfin"),
        arguments="[director]",
    ),
    "udp": Quantity(
        kind="time",
        meaning="the udp timeout as measured",
        read=readings.timeout("udp"),
        arguments="[director]",
    ),
    "timeout": Quantity(
        kind="time",
        meaning="what entries that ended in a state waited, less the timer's lateness",
        read=readings.timeout_of_state,
        arguments="state [, director]",
        first_of=STATES,
    ),
    "lifetime": Quantity(
        kind="time",
        meaning="how long after their last packet such entries expired, on average",
        read=readings.lifetime_of_state,
        arguments="state [, director]",
        first_of=STATES,
    ),
    "state": Quantity(
        kind="share",
        meaning="the share of a director's entries that ended in a state",
        read=readings.state_share,
        arguments="state [, director]",
        first_of=STATES,
    ),
    "ended_early": Quantity(
        kind="number",
        meaning="entries that went before their time",
        read=readings.ended_early,
        arguments="[cause]",
        first_of=CAUSES,
        grows="to the end",
    ),
    "active_peak": Quantity(
        kind="number",
        meaning="the highest ActiveConn; of all directors together unless one is named",
        read=readings.peak("active"),
        arguments="[director]",
        grows="with the load",
    ),
    "inactive_peak": Quantity(
        kind="number",
        meaning="the highest InActConn; of all directors together unless one is named",
        read=readings.peak("inactive"),
        arguments="[director]",
        grows="with the load",
    ),
    "forwarding": Quantity(
        kind="word",
        meaning="dr, nat, tun or local; of every real server",
        read=readings.servers("forwarding"),
        arguments="[director]",
    ),
    "scheduler": Quantity(
        kind="word",
        meaning="the service's scheduler",
        read=readings.servers("scheduler"),
        arguments="[director]",
    ),
    "weight_zero": Quantity(
        kind="number",
        meaning="real servers of weight 0",
        read=readings.servers("weight_zero"),
        arguments="[director]",
    ),
    "sent": Quantity(
        kind="number",
        meaning="requests sent",
        read=readings.count("sent"),
        grows="with the load",
    ),
    "succeeded": Quantity(
        kind="number",
        meaning="requests answered",
        read=readings.count("succeeded"),
        grows="with the load",
    ),
    "failed": Quantity(
        kind="number",
        meaning="requests that failed",
        read=readings.count("failed"),
        grows="with the load",
    ),
    "late": Quantity(
        kind="number",
        meaning="requests answered more than 0.5 s after they were due",
        read=readings.count("late"),
        grows="with the load",
    ),
    "failed_share": Quantity(
        kind="share", meaning="of the requests, those that failed", read=readings.failed_share
    ),
    "rate": Quantity(kind="rate", meaning="requests a second", read=readings.rate),
    "syn_retries": Quantity(
        kind="share",
        meaning="of the connections, those that took 0.9 s or more: their SYN was repeated",
        read=readings.syn_retries,
    ),
    "state_agreement": Quantity(
        kind="share",
        meaning="of the entries' states polled, those that were predicted",
        read=readings.agreement(readings.state_agreement),
        arguments="[director]",
    ),
    "inactive_error": Quantity(
        kind="number",
        meaning="the largest difference of InActConn, predicted and observed, at a calm poll",
        read=readings.agreement(lambda row: row.inactive_max_error),
        arguments="[director]",
        grows="to the end",
    ),
    "expiry_error": Quantity(
        kind="time",
        meaning="the largest difference of an expiry, predicted and observed",
        read=readings.agreement(lambda row: row.worst_expiry_error_s),
        arguments="[director]",
        grows="to the end",
    ),
    "capture_drops": Quantity(
        kind="number",
        meaning="packets that the capture missed",
        read=readings.capture_drops,
        grows="to the end",
    ),
    "finding": Quantity(
        kind="number",
        meaning="1 if the report has the finding of that id, else 0",
        read=readings.finding,
        arguments="id",
        first_of=IDS,
        grows="to the end",
    ),
    "problems": Quantity(
        kind="number",
        meaning="findings of severity problem",
        read=readings.findings("problem"),
        grows="to the end",
    ),
    "warnings": Quantity(
        kind="number",
        meaning="findings of severity warning",
        read=readings.findings("warning"),
        grows="to the end",
    ),
}
