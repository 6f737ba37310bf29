"""Kinds of failures: a fixed list, the same whether an engine recorded the kind or only a text."""

from __future__ import annotations

import os
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analyzer.client.failures import KINDS, TITLES, kind_of_status, kind_of_text
from loadgen.load.engines import wording

FIXED = [
    *wording.TIMED_OUT.values(),
    *(each for each in vars(wording).values() if isinstance(each, wording.Failure)),
    *map(wording.status_failure, (101, 404, 499, 500, 503, 700)),
    wording.not_http("a head of more than 262144 bytes"),
    wording.not_http("Invalid header token"),
]


def test_every_kind_has_its_words() -> None:
    assert set(TITLES) == set(KINDS)
    assert len(set(TITLES.values())) == len(KINDS)


@pytest.mark.parametrize("failure", FIXED, ids=lambda failure: failure.text)
def test_a_text_of_an_engine_tells_the_kind_that_the_engine_records(
    failure: wording.Failure,
) -> None:
    if failure is not wording.TIMED_OUT["tls"]:  # older engines did not tell it from a connect's
        assert kind_of_text(failure.text) == failure.kind


@pytest.mark.parametrize("number", sorted(wording.KINDS_BY_ERRNO))
def test_an_error_of_the_kernel_has_one_kind_by_its_number_and_by_its_text(number: int) -> None:
    failure = wording.reason(OSError(number, os.strerror(number)))
    assert failure.text == os.strerror(number).lower()
    if kind_of_text(failure.text) != "other":
        assert kind_of_text(failure.text) == failure.kind


def test_an_error_without_a_number_is_known_by_its_class() -> None:
    assert wording.reason(ConnectionResetError()) == wording.RESET
    assert wording.reason(ConnectionRefusedError()) == wording.REFUSED
    assert wording.reason(OSError()).kind == "other"


@given(st.integers(0, 10_000))
def test_every_status_has_a_kind(status: int) -> None:
    kind = kind_of_status(status)
    assert kind == {4: "http-4xx", 5: "http-5xx"}.get(status // 100, "http-other")


@given(st.text(max_size=1000))
def test_any_text_has_a_kind_of_the_list(text: str) -> None:
    assert kind_of_text(text) in KINDS


def test_kinds_are_words_that_can_be_scripted_against() -> None:
    assert all(re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", kind) for kind in KINDS)
