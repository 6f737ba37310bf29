"""Each column and each key of ``run.json`` has a rule; what has none never gets into a copy."""

from __future__ import annotations

import json
import re
from dataclasses import fields, is_dataclass
from typing import TYPE_CHECKING, Any, get_args, get_type_hints

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analyzer.anonymous import texts
from analyzer.anonymous.manifest import EACH, RULES, anonymous_manifest, names_in
from analyzer.anonymous.run import anonymise
from analyzer.anonymous.substitution import Substitution
from analyzer.anonymous.tables import RULES as COLUMNS
from analyzer.anonymous.tables import rule_of
from analyzer.anonymous.vocabulary import EVENTS, FAULTS, WORDS, words
from analyzer.client.failure_texts import OTHER
from analyzer.conntrack.services import SCHEDULER
from analyzer.recording.directory import Recording, RecordingWriter
from analyzer.recording.directory.part_reader import NEEDED
from analyzer.recording.manifest import Manifest, manifest_of
from analyzer.recording.tables import TABLES
from loadgen.lab.faults.faults import FAULTS as LAB_FAULTS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SUBSTITUTION = Substitution(bytes(range(32)), ["bal01", "bal01.example.com"])
SECRETS = words(
    "acme bastion.acme.example alice bal01 name-backup bal01-backup eth-acme 203.0.113.77 "
    "cb00714d CB00714D 3405803853 ip-203-0-113-77 203-0-113-77 00-11-22-33-44-55 0011.2233.4455 "
    "00:11:22:33:44:55 001122334455 2001:db8::7 session=1"
)
FREE = " ".join(SECRETS)


@pytest.mark.parametrize("name", TABLES)
def test_each_column_of_text_has_a_rule(name: str) -> None:
    for column in TABLES[name]:
        if pa.types.is_string(column.type):
            assert callable(rule_of(name, column.name)), column.name
        else:
            assert pa.types.is_integer(column.type) or column.type in (
                pa.float64(),
                pa.timestamp("ns", tz="UTC"),
            )
    assert COLUMNS.keys() == TABLES.keys()


def keys_of(kind: Any, rule: Any, where: str) -> Iterator[str]:
    """The keys of a type of the manifest that no rule is for."""
    inner = (
        [kind] if is_dataclass(kind) else [each for each in get_args(kind) if is_dataclass(each)]
    )
    for each in inner:
        rules = rule[0] if isinstance(rule, list) else rule
        rules = rules.get(EACH, rules)
        hints = get_type_hints(each)
        for field in fields(each):
            if field.name in ("raw", "command_line"):
                continue
            if field.name not in rules:
                yield f"{where}{field.name}"
            else:
                yield from keys_of(hints[field.name], rules[field.name], f"{where}{field.name}.")


def test_each_key_of_the_manifest_has_a_rule() -> None:
    assert list(keys_of(Manifest, RULES, "")) == []


def test_what_stands_for_a_netfilter_directors_scheduler_is_kept() -> None:
    rule = rule_of("services", "scheduler")
    assert rule(SCHEDULER, SUBSTITUTION) == SCHEDULER == "netfilter"
    assert rule("other-scheduler", SUBSTITUTION) == "other"


def test_kinds_of_a_labs_faults_are_known() -> None:
    assert set(LAB_FAULTS) | {"weight"} == FAULTS


@pytest.mark.parametrize("name", TABLES)
def test_no_text_of_any_column_survives(name: str, tmp_path: Path) -> None:
    writer = RecordingWriter(tmp_path / "run", {"command": "burst"})
    columns = [column.name for column in TABLES[name] if pa.types.is_string(column.type)]
    kinds = sorted(EVENTS) if name == "events" else [FREE]
    for kind in kinds:
        for secret in (FREE, *SECRETS):
            row = dict.fromkeys(columns, secret) | ({"kind": kind} if name == "events" else {})
            writer.append(name, dict.fromkeys(NEEDED[name], 1) | row)
    writer.flush()
    anonymise(Recording.open(tmp_path / "run"), tmp_path / "copy", bytes(range(32)))
    copy = Recording.open(tmp_path / "copy").table(name)
    assert len(copy) == len(kinds) * (len(SECRETS) + 1)
    everything = copy[columns].to_csv()
    assert [secret for secret in SECRETS if secret in everything] == []
    if name == "requests":
        assert set(copy["error"]) == {OTHER}


FRACTIONS = ("link_bps", "ingress_bps", "burst")


def filled(rule: Any, secret: str) -> Any:
    """A manifest with a text in each place that a rule is for, and a key that none is for."""
    if isinstance(rule, list):
        return [filled(rule[0], secret)]
    if isinstance(rule, dict):
        made = {secret if key == EACH else key: filled(each, secret) for key, each in rule.items()}
        return made | {f"{secret}-key": secret}
    return secret


@pytest.mark.parametrize("secret", [*SECRETS, FREE])
def test_no_text_of_any_key_survives(secret: str) -> None:
    raw = filled(RULES, secret)
    raw["proof"] |= dict.fromkeys(FRACTIONS, "5/2")  # which are numbers of any length
    line = (secret, f"--name={secret}", f"-H{secret}", f"exec:{secret}", f"ssh://{secret}@{secret}")
    manifest = Manifest(command_line=line, raw=raw)
    copy = json.dumps(anonymous_manifest(manifest, Substitution(bytes(32), [secret])))
    assert [each for each in SECRETS if each in copy] == []


@pytest.mark.parametrize("other", [True, 7, "text", {"a": 1}])
def test_what_is_no_list_where_one_is_expected_is_left_out(other: Any) -> None:
    raw = {"command": "burst", "directors": {"bal01": {"macs": other, "hz": 100}}}
    copy = anonymous_manifest(Manifest(raw=raw), Substitution(bytes(32)))
    (director,) = copy["directors"].values()
    assert director == {"hz": 100}


def test_what_an_import_wrote_of_its_files_is_left_out() -> None:
    imported = {
        "command": "import",
        "imported": {"capture": "/home/alice/acme.pcap", "poll_log": "x", "scenario": "acme"},
        "directors": {"director": {"link": "imported", "kernel": "Linux 6.1.192 (built by acme)"}},
        "capture": {"interface": "eth-acme", "filter": "host 203.0.113.77", "dropped": 0},
    }
    known = manifest_of(imported)
    copy = anonymous_manifest(known, Substitution(bytes(32), names_in(known)))
    assert copy == {
        "command": "import",
        "imported": {},
        "directors": {"director": {"link": "imported", "kernel": "6.1.192"}},
        "capture": {"dropped": 0},
    }


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("done in 31 ms", "done in 31 ms"),
        ("900 120 300", "900 120 300"),
        ("12 packets within 1.00 s", "12 packets within 1.00 s"),
        ("(VI_1) Entering FAULT STATE", "hidden Entering FAULT STATE"),
        ("conntrack: 0 -> 1", "conntrack: 0 -> 1"),
        ("ssh: alice@bastion: Permission denied", "hidden"),
    ],
)
def test_a_sentence_of_ours_stays_readable(text: str, expected: str) -> None:
    assert texts.sentence(text, SUBSTITUTION) == expected


def test_addresses_and_names_in_a_sentence_are_replaced() -> None:
    made = texts.sentence("bal01: 10.0.0.1:80 weight 5, [2001:db8::7]:80", SUBSTITUTION)
    name, end, weight, five, end6 = made.split()
    assert name == f"{SUBSTITUTION.name('bal01')}:"
    assert (weight, five) == ("weight", "5,")
    assert end.endswith(":80")
    assert end6.endswith("]:80")
    assert "10.0.0.1" not in made
    assert "2001:db8::7" not in made


PART = re.compile(r"[-+]?\d{1,7}(\.\d{1,6})?%?|host-[0-9a-f]{6}|hidden|", re.ASCII)


@given(st.text(alphabet=st.characters(exclude_characters=":."), max_size=60))
def test_a_sentence_holds_nothing_but_its_parts(text: str) -> None:
    for word in texts.sentence(text, SUBSTITUTION).split():
        core = word.strip("()[],:;.")
        assert core in WORDS or word in WORDS or PART.fullmatch(core), word


def test_of_several_targets_all_addresses_and_names_are_replaced() -> None:
    ends = [{"protocol": "TCP", "vip": f"203.0.113.{n}", "port": 80} for n in (7, 8)]
    request = {"method": "HEAD", "path": "/secret", "authority": "shop.example"}
    manifest = manifest_of(
        {
            "service": None,
            "services": ends,
            "plan": {"targets": [end | {"request": request} for end in ends]},
            "directors": {"bal01": {"services": [end | {"has_service": True} for end in ends]}},
        }
    )
    assert "shop.example" in set(names_in(manifest))
    copy = anonymous_manifest(manifest, Substitution(bytes(32), list(names_in(manifest))))
    shown = json.dumps(copy)
    assert all(word not in shown for word in ("203.0.113", "shop", "secret", "bal01"))
    (director,) = copy["directors"].values()
    vips = [each["vip"] for each in copy["services"]]
    assert vips == [each["vip"] for each in copy["plan"]["targets"]]
    assert vips == [each["vip"] for each in director["services"]]
    assert len(set(vips)) == 2
