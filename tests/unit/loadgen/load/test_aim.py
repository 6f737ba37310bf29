"""What a load is aimed at: a URL, or --vip with --port and --tls."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadgen.errors import UsageProblem
from loadgen.load.aim import Aim, Url, aim_of, parse_url
from loadgen.target import split_host_port

URLS = [
    ("http://192.168.10.2/", Aim(host="192.168.10.2", port=80)),
    ("http://192.168.10.2", Aim(host="192.168.10.2", port=80)),
    ("HTTP://shop.example:8080/a?b=c#d", Aim(host="shop.example", port=8080, path="/a?b=c")),
    ("https://shop.example", Aim(host="shop.example", port=443, tls=True)),
    ("https://[fd00:10::2]:8443/x", Aim(host="fd00:10::2", port=8443, tls=True, path="/x")),
    ("http://[fd00:10::2]/", Aim(host="fd00:10::2", port=80)),
    ("shop.example:81/a", Aim(host="shop.example", port=81, path="/a")),
    ("http://shop.example?q=1", Aim(host="shop.example", port=80, path="/?q=1")),
    ("http://shop.example/a@b", Aim(host="shop.example", port=80, path="/a@b")),
]


@pytest.mark.parametrize(("text", "aim"), URLS)
def test_a_url_says_all_that_a_load_is_aimed_at(text: str, aim: Aim) -> None:
    assert aim_of(parse_url(text), None, None) == aim


@pytest.mark.parametrize(
    "text",
    [
        *("", "http://", "http:///x", "ftp://h/", "http://h:0/", "http://h:65536/", "http://h:x/"),
        *("http://[fd00::1", "http://[]/", "http://h/a b", "http://h\x1b/", "http://h/\n", "h:"),
    ],
)
def test_what_is_no_url_is_refused_without_being_repeated(text: str) -> None:
    with pytest.raises(ValueError, match="expected http://") as caught:
        parse_url(text)
    assert str(caught.value).startswith("expected http://HOST")


@pytest.mark.parametrize("text", ["http://me:secret@h/", "me@h", "https://secret@h?x"])
def test_a_password_in_a_url_is_refused_and_not_shown(text: str) -> None:
    with pytest.raises(ValueError, match="no user and password in a URL") as caught:
        parse_url(text)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("vip", "port", "tls", "aim"),
    [
        ("10.1.2.3", None, False, Aim(host="10.1.2.3", port=80)),
        ("10.1.2.3", None, True, Aim(host="10.1.2.3", port=443, tls=True)),
        ("10.1.2.3:8080", None, False, Aim(host="10.1.2.3", port=8080)),
        ("10.1.2.3:8080", 8080, False, Aim(host="10.1.2.3", port=8080)),
        ("[fd00::2]:8080", None, True, Aim(host="fd00::2", port=8080, tls=True)),
        ("[fd00::2]", 81, False, Aim(host="fd00::2", port=81)),
        ("fd00::80", None, False, Aim(host="fd00::80", port=80)),
        ("shop.example:81", None, False, Aim(host="shop.example", port=81)),
    ],
)
def test_a_vip_may_have_its_port(vip: str, port: int | None, tls: bool, aim: Aim) -> None:
    assert aim_of(None, vip, port, tls=tls) == aim


@pytest.mark.parametrize(
    ("url", "vip", "port", "tls", "path", "says"),
    [
        (None, None, None, False, None, "expected a URL"),
        ("http://h", "10.1.2.3", None, False, None, "a URL and --vip: expected one of them"),
        ("http://h", None, 80, False, None, "a URL and --port: expected one of them"),
        ("http://h/a", None, None, False, "/b", "a URL and --path: expected one of them"),
        ("http://h", None, None, True, None, "http:// and --tls: expected one of them"),
        (None, "10.1.2.3:80", 81, False, None, "expected one port"),
        (None, "10.1.2.3:", None, False, None, "expected HOST, HOST:PORT"),
        (None, "10.1.2.3:0", None, False, None, "expected HOST, HOST:PORT"),
    ],
)
def test_what_contradicts_each_other_is_one_line(
    url: str | None, vip: str | None, port: int | None, tls: bool, path: str | None, says: str
) -> None:
    with pytest.raises(UsageProblem, match=r"^[^\n]*$") as caught:
        aim_of(parse_url(url) if url else None, vip, port, tls=tls, path=path)
    assert says in str(caught.value)


def test_a_path_may_be_given_beside_a_url_that_has_none() -> None:
    assert aim_of(parse_url("https://h"), None, None, tls=True, path="/b").path == "/b"


@given(st.ip_addresses().map(str) | st.just("shop.example"), st.integers(1, 65535))
def test_host_and_port_come_back_as_they_were_written(host: str, port: int) -> None:
    bracketed = f"[{host}]" if ":" in host else host
    assert split_host_port(f"{bracketed}:{port}") == (host, port)
    assert split_host_port(bracketed) == split_host_port(host) == (host, None)
    assert parse_url(f"https://{bracketed}:{port}/x") == Url(
        host=host, port=port, tls=True, path="/x"
    )


@given(st.text(max_size=40))
def test_any_text_is_a_url_or_refused(text: str) -> None:
    try:
        found = parse_url(text)
    except ValueError:
        return
    assert found.host
    assert found.port is None or 1 <= found.port <= 65535
