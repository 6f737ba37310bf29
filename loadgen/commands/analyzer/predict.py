"""``analyzer predict``: how full a director's table gets, from the model alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from analyzer.forecast.closings import CLOSES, in_words
from analyzer.units import KNOWN_HZ
from loadgen.commands.types import CLOSE_MIX, DURATION, RATE, SPAN, TIMEOUTS, PathType
from loadgen.session.terminal import columns, print_document, print_line, print_lines

if TYPE_CHECKING:
    from pathlib import Path

    from analyzer.forecast.closings import Close
    from analyzer.ipvs.states import Timeouts


@click.command()
@click.option(
    "-q", "--rate", "rate_per_s", type=RATE, required=True, help="New connections per second."
)
@click.option(
    "-z",
    "--duration",
    "duration_s",
    type=SPAN,
    help="Duration of the load; by default until the table is steady, and a little longer.",
)
@click.option("--protocol", type=click.Choice(["tcp", "udp"]), default="tcp", show_default=True)
@click.option(
    "--close",
    type=CLOSE_MIX,
    help=f"How connections close: {in_words(CLOSES)}; or weights such as "
    "client=70,server=20,reset=10.  [default: client]",
)
@click.option(
    "--hold",
    "hold_s",
    type=DURATION,
    default=0,
    show_default=True,
    help="Time between response and close.",
)
@click.option(
    "--forwarding",
    type=click.Choice(["dr", "nat", "tun", "local"]),
    default="dr",
    show_default=True,
)
@click.option(
    "--timeouts",
    type=TIMEOUTS,
    help="Timeouts of the director, as ipvsadm --set takes them.  [default: 900,120,300]",
)
@click.option("--tcp", "tcp_s", type=SPAN, help="Only the tcp timeout.")
@click.option("--tcpfin", "tcpfin_s", type=SPAN, help="Only the tcpfin timeout.")
@click.option("--udp", "udp_s", type=SPAN, help="Only the udp timeout.")
@click.option(
    "--hz",
    type=click.Choice(KNOWN_HZ),
    default=250,
    show_default=True,
    help="HZ of the director's kernel; Debian's is 250.",
)
@click.option(
    "--arrivals",
    type=click.Choice(["uniform", "poisson"]),
    default="uniform",
    show_default=True,
    help="Evenly spaced, or at random.",
)
@click.option(
    "--sources",
    type=click.IntRange(1, 2**32),
    default=1,
    show_default=True,
    help="Number of source addresses of the clients.",
)
@click.option(
    "--ports",
    type=click.IntRange(1, 65535),
    default=28232,
    show_default=True,
    help="Number of source ports per address; Linux uses 32768 to 60999.",
)
@click.option(
    "--client-time-wait",
    "client_time_wait_s",
    type=DURATION,
    default=60,
    show_default=True,
    help="Time for which a client that closed first keeps its port.",
)
@click.option(
    "--conn-tab-bits",
    type=click.IntRange(8, 27),
    default=12,
    show_default=True,
    help="2^N buckets in the director's hash table.",
)
@click.option("-o", "output", type=PathType(), help="Output page with the chart.")
@click.option("--json", "as_json", is_flag=True, help="Print the forecast as one JSON document.")
def predict(output: Path | None, as_json: bool, **options: Any) -> None:
    """Predict how full a director's table gets under a load.

    Nothing is sent. ActiveConn and InActConn over time, their steady state with its band, the
    source ports that the load needs, and the memory that its entries take.
    """
    from analyzer.forecast.document import to_json
    from analyzer.forecast.lifetimes import Question
    from analyzer.forecast.model import forecast
    from reports.document.text import lines_of
    from reports.forecast.document import forecast_document

    timeouts = _timeouts(options)
    result = forecast(Question(timeouts=timeouts, close=_close(options), **options))
    document = forecast_document(result)
    if as_json:
        print_document(to_json(result))
    else:
        print_lines(lines_of(document, columns()))
    if output:
        from loadgen.session.files import write_text
        from reports.document.html import page_of

        write_text(output, page_of(document))
        print_line(f"page: {output}", err=as_json)


def _timeouts(options: dict[str, Any]) -> Timeouts:
    """The triple, with those that were named alone put into it."""
    from dataclasses import replace

    from analyzer.ipvs.states import Timeouts

    alone = {name: options.pop(name) for name in ("tcp_s", "tcpfin_s", "udp_s")}
    given = {name: value for name, value in alone.items() if value is not None}
    return replace(options.pop("timeouts") or Timeouts(), **given)


def _close(options: dict[str, Any]) -> dict[Close, float]:
    close: dict[Close, float] | None = options.pop("close")
    if close and options["protocol"] == "udp":
        raise click.UsageError("--close cannot be combined with --protocol udp")
    return close or {"client": 1.0}
