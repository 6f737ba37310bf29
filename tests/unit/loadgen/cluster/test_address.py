"""The values of ``--cluster``."""

from __future__ import annotations

import pytest

from loadgen.cluster.address import parse_address


def test_so_many_processes_of_this_host() -> None:
    address = parse_address("local:4")

    assert (address.local, address.scheduler, address.text) == (4, None, "local:4")
    assert not address.is_open


@pytest.mark.parametrize(
    ("text", "is_open"),
    [
        ("tls://scheduler:8786", False),
        ("tls://[2001:db8::1]:8786", False),
        ("tcp://10.0.0.1:8786", True),
    ],
)
def test_a_scheduler(text: str, is_open: bool) -> None:
    address = parse_address(text)

    assert address.scheduler == address.text == text
    assert address.is_open is is_open


@pytest.mark.parametrize(
    "text",
    [
        "",
        "local",
        "local:0",
        "local:65",
        "local:-1",
        "scheduler:8786",
        "tls://scheduler",
        "tls://a:0",
        "tls://a:65536",
        "ws://a:1",
        "tls://a:1/x",
        "tls://a b:1",
        "inproc://x:1",
    ],
)
def test_anything_else_is_refused_with_what_was_expected(text: str) -> None:
    with pytest.raises(ValueError, match=r"expected tls://HOST:PORT"):
        parse_address(text)
