"""Where redirects lead, told by strangers."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadgen.engines.http.redirects import location_of, same_target
from tests.unit.loadgen.engines.conduct import plan

TOLD = plan(8080, path="/a/b?c")


@pytest.mark.parametrize(
    ("location", "path"),
    [
        ("/x", "/x"),
        ("x?y=1", "/a/x?y=1"),
        ("?d", "/a/b?d"),
        ("http://127.0.0.1:8080", "/"),
        ("http://127.0.0.1:8080/%20x#part", "/%20x"),
        ("/with space", "/with%20space"),
        ("/gr\u00fcn", "/gr%C3%BCn"),
        ("http://127.0.0.1:8081/x", None),
        ("https://127.0.0.1:8080/x", None),
        ("//elsewhere.example.net/x", None),
        ("http://[nowhere", None),
    ],
)
def test_a_redirect_leads_to_a_path_of_the_same_target_or_nowhere(
    location: str, path: str | None
) -> None:
    assert same_target(TOLD, "/a/b?c", location) == path


@given(st.binary(max_size=60))
def test_whatever_a_server_writes_a_request_line_stays_one(raw: bytes) -> None:
    """Header values reach us as aiohttp decodes them."""
    path = same_target(TOLD, "/", raw.decode("utf-8", "surrogateescape"))
    assert path is None or re.fullmatch(r"/[!-~]*", path)


def test_only_a_redirect_leads_anywhere() -> None:
    headers = {"Location": "/x"}
    assert [location_of(status, headers) for status in (200, 201, 302, 308)] == [
        None,
        None,
        "/x",
        "/x",
    ]
