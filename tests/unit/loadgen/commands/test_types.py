"""Option types: what they take, what they refuse, and that a refusal says what was expected."""

from __future__ import annotations

from typing import Any

import click
import pytest

from analyzer.ipvs.states import Timeouts
from loadgen.collect.keep import Keep
from loadgen.commands.types import (
    ADDRESS,
    DURATION,
    KEEP,
    LISTEN,
    METHOD,
    OBSERVE,
    SIZE,
    TIMEOUTS,
    URL_PATH,
)

TAKEN = [
    (DURATION, "30", 30.0),
    (DURATION, "30s", 30.0),
    (DURATION, "2m", 120.0),
    (DURATION, "1h", 3600.0),
    (DURATION, "500ms", 0.5),
    (DURATION, "1.5", 1.5),
    (DURATION, "0", 0.0),
    (DURATION, 30, 30.0),  # a default
    (SIZE, "4M", 4_000_000),
    (SIZE, "500MB", 500_000_000),
    (SIZE, "2G", 2_000_000_000),
    (SIZE, "5000000", 5_000_000),
    (OBSERVE, "auto", None),
    (OBSERVE, "0", 0.0),
    (OBSERVE, "2m", 120.0),
    (TIMEOUTS, "900,120,300", Timeouts(tcp_s=900, tcpfin_s=120, udp_s=300)),
    (TIMEOUTS, "1,2,3", Timeouts(tcp_s=1, tcpfin_s=2, udp_s=3)),
    (ADDRESS, "192.168.10.2", "192.168.10.2"),
    (KEEP, "500M", Keep(text="500M", size_bytes=500_000_000)),
    (KEEP, "6h", Keep(text="6h", seconds=21_600)),
    (KEEP, "30m", Keep(text="30m", seconds=1_800)),
    (LISTEN, "9190", ("127.0.0.1", 9190)),
    (LISTEN, "10.0.0.1:9190", ("10.0.0.1", 9190)),
    (LISTEN, "[::1]:9190", ("::1", 9190)),
    (METHOD, "HEAD", "HEAD"),
    (METHOD, "PROPFIND", "PROPFIND"),
    (URL_PATH, "/", "/"),
    (URL_PATH, "/a/b?c=d#e", "/a/b?c=d#e"),
]


@pytest.mark.parametrize(("kind", "text", "value"), TAKEN)
def test_a_value_is_taken(kind: click.ParamType[Any], text: Any, value: object) -> None:
    assert kind.convert(text, None, None) == value


REFUSED = [
    (SIZE, "3M"),
    (SIZE, "1.5G"),
    (SIZE, "-5G"),
    (SIZE, "lots"),
    (SIZE, "5g"),
    (DURATION, ""),
    (DURATION, "-1"),
    (DURATION, "1d"),
    (DURATION, "30 s"),
    (DURATION, "1e9"),
    (DURATION, "nan"),
    (DURATION, "inf"),
    (DURATION, "s"),
    (DURATION, "99999999999999999999"),
    (DURATION, "3\n"),
    (OBSERVE, "always"),
    (OBSERVE, "Auto"),
    (TIMEOUTS, "900,120"),
    (TIMEOUTS, "900,120,300,1"),
    (TIMEOUTS, "900 120 300"),
    (TIMEOUTS, "0,120,300"),  # 0 leaves a value as it is: that is no timeout
    (TIMEOUTS, "900,-1,300"),
    (TIMEOUTS, "a,b,c"),
    (KEEP, "1K"),
    (KEEP, "6d"),
    (KEEP, "0s"),
    (KEEP, "100"),  # bytes: less than the least
    (LISTEN, "65536"),
    (LISTEN, "host:80"),
    (LISTEN, "::1:80"),
    (LISTEN, "10.0.0.256:80"),
    (ADDRESS, "vip"),
    (ADDRESS, "192.168.10.256"),
    (ADDRESS, "192.168.10"),
    (ADDRESS, "::1"),
    (ADDRESS, ""),
    (METHOD, "head"),
    (METHOD, ""),
    (METHOD, "GET /\r\nX: y"),  # a header in a method's clothes
    (URL_PATH, "index.html"),
    (URL_PATH, "/a b"),
    (URL_PATH, "/a\r\nX: y"),
    (URL_PATH, "/ü"),
    (URL_PATH, ""),
]


@pytest.mark.parametrize(("kind", "text"), REFUSED)
def test_anything_else_is_refused_with_what_was_expected(
    kind: click.ParamType[Any], text: str
) -> None:
    with pytest.raises(click.BadParameter, match="expected") as caught:
        kind.convert(text, None, None)
    assert "\n" not in str(caught.value.message)
