"""Where redirects of any server lead."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadgen.load.engines.http.redirects import Lead, lead_of, location_of
from tests.unit.loadgen.load.engines.conduct import plan

LOAD_PLAN = plan(8080, path="/a/b?c")


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
        ("//127.0.0.1:8080/x", "/x"),
        ("../../x", "/x"),
    ],
)
def test_a_redirect_leads_to_a_path_of_the_same_target(location: str, path: str) -> None:
    assert lead_of(LOAD_PLAN, "/a/b?c", location) == Lead("here", path)


@pytest.mark.parametrize(
    "location",
    [
        "http://127.0.0.1:8081/x",
        "http://127.0.0.1/x",
        "https://127.0.0.1:8080/x",
        "//elsewhere.example.net/x",
    ],
)
def test_a_redirect_to_another_host_port_or_scheme_leads_away(location: str) -> None:
    assert lead_of(LOAD_PLAN, "/a/b?c", location) == Lead("away")


@pytest.mark.parametrize(
    "location", ["http://[nowhere", "http://127.0.0.1:port/", "mailto:a@b", "ftp://a/b"]
)
def test_what_is_no_url_of_http_leads_nowhere(location: str) -> None:
    assert lead_of(LOAD_PLAN, "/a/b?c", location) == Lead("nowhere")


@pytest.mark.parametrize("vip", ["127.0.0.1", "fd00:10::2"])
def test_the_usual_port_may_be_named_or_not(vip: str) -> None:
    load_plan = plan(80, vip=vip)
    host = f"[{vip}]" if ":" in vip else vip
    assert lead_of(load_plan, "/", f"http://{host}:80/x") == Lead("here", "/x")
    assert lead_of(load_plan, "/", f"http://{host}/x") == Lead("here", "/x")


@given(st.binary(max_size=60))
def test_whatever_a_server_writes_a_request_line_stays_one(raw: bytes) -> None:
    """Header values reach us as aiohttp decodes them."""
    lead = lead_of(LOAD_PLAN, "/", raw.decode("utf-8", "surrogateescape"))
    assert (lead.to != "here" and not lead.path) or re.fullmatch(r"/[!-~]*", lead.path)


def test_only_a_redirect_leads_anywhere() -> None:
    headers = {"Location": "/x"}
    assert [location_of(status, headers) for status in (200, 201, 302, 308)] == [
        None,
        None,
        "/x",
        "/x",
    ]
    assert [location_of(302, headers) for headers in ({}, {"Location": " "})] == [None, None]
