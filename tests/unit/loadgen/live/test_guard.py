"""Who may read the page of a run."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadgen.live.guard import is_here, is_same_origin, is_token, new_token


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1:9191",
        "127.0.0.1",
        "localhost:8080",
        "[::1]:9191",
        "192.168.7.9:80",
        "LOCALHOST:1",
    ],
)
def test_an_address_or_localhost_is_here_whatever_the_port_of_a_tunnel(host: str) -> None:
    assert is_here([host])


@pytest.mark.parametrize(
    "hosts",
    [
        [],
        [""],
        ["evil.example:9191"],  # a name that has come to mean 127.0.0.1
        ["localhost.evil.example"],
        ["127.0.0.1.evil.example"],
        ["evil.example@127.0.0.1"],
        ["127.0.0.1/evil.example"],
        ["127.0.0.1:port"],
        ["127.0.0.1", "evil.example"],
        ["[::1"],
        ["127.1"],
    ],
)
def test_a_name_or_what_is_no_host_is_not_here(hosts: list[str]) -> None:
    assert not is_here(hosts)


@given(st.text(max_size=40))
def test_whatever_a_host_says_is_judged_without_an_error(host: str) -> None:
    assert is_here([host]) in (True, False)


@pytest.mark.parametrize(
    ("origin", "site", "ours"),
    [
        (None, None, True),  # curl
        (None, "none", True),  # typed by the reader
        ("http://127.0.0.1:9191", "same-origin", True),
        ("http://evil.example", None, False),
        ("https://127.0.0.1:9191", None, False),
        ("http://127.0.0.1:9192", "same-site", False),
        ("null", "cross-site", False),
        (None, "cross-site", False),  # a link or an image on another page
    ],
)
def test_another_origin_is_refused(origin: str | None, site: str | None, ours: bool) -> None:
    assert is_same_origin("127.0.0.1:9191", origin, site) == ours


@given(st.text(max_size=60))
def test_only_the_token_itself_is_the_token(text: str) -> None:
    token = new_token()
    assert is_token(token, token)
    assert not is_token(text, token)
    assert not is_token(token + text, token) or not text


def test_a_token_is_128_bits_and_never_the_same() -> None:
    tokens = {new_token() for _ in range(100)}
    assert len(tokens) == 100
    assert min(map(len, tokens)) >= 22
