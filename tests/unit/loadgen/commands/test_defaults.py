"""[burst] of loadgen.toml: defaults of a burst's options, and what is refused there."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import click
import pytest

from loadgen.commands.defaults import YIELDS_TO, CommandWithDefaults, key_of
from loadgen.commands.load_types import HEADER
from loadgen.commands.loadgen.burst import burst
from loadgen.commands.types import RATE, SPAN
from loadgen.errors import UsageProblem
from tests.unit.loadgen.commands.in_process import run_in_process

pytestmark = pytest.mark.usefixtures("alone")


def values(*words: str) -> dict[str, Any]:
    """What a command of some options makes of a command line and the configuration."""

    @click.command(cls=CommandWithDefaults)
    @click.argument("url", nargs=-1)
    @click.option("--vip", "vips", multiple=True)
    @click.option("--targets")
    @click.option("-n", "requests", type=click.IntRange(1), default=50)
    @click.option("-q", "--rate", type=RATE)
    @click.option("--stage", "stages", multiple=True)
    @click.option("-H", "--header", "headers", type=HEADER, multiple=True)
    @click.option("--connect-timeout", type=SPAN, default=10)
    @click.option("--tls", is_flag=True)
    def command(**found: Any) -> dict[str, Any]:
        return found

    found: dict[str, Any] = command.main(list(words), standalone_mode=False)
    return found


def configured(text: str, path: str = "loadgen.toml") -> None:
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Path(path).write_text(f"[burst]\n{text}\n")


def test_without_a_file_the_options_have_their_own_defaults() -> None:
    assert values() == {
        "url": (),
        "vips": (),
        "targets": None,
        "requests": 50,
        "rate": None,
        "stages": (),
        "headers": (),
        "connect_timeout": 10.0,
        "tls": False,
    }


def test_configured_values_are_read_as_the_options_read_them() -> None:
    configured('url = "http://h"\nrequests = 7\nrate = "500/s"\nconnect-timeout = "2m"\ntls = true')
    found = values()
    assert (found["url"], found["requests"], found["rate"]) == (("http://h",), 7, 500.0)
    assert (found["connect_timeout"], found["tls"]) == (120.0, True)


def test_a_key_may_be_written_with_underscores_and_a_list_stands_for_a_repeated_option() -> None:
    configured('connect_timeout = 3\nheader = ["A: 1", "B: 2"]\nstage = "10s:5"')
    found = values()
    assert found["connect_timeout"] == 3.0
    assert found["headers"] == (("A", "1"), ("B", "2"))
    assert found["stages"] == ("10s:5",)


def test_several_targets_are_a_list_and_yield_together_to_those_of_the_command_line() -> None:
    configured('vip = ["10.1.2.3", "10.1.2.4:8080"]')
    assert values()["vips"] == ("10.1.2.3", "10.1.2.4:8080")
    assert values("--vip", "10.9.9.9")["vips"] == ("10.9.9.9",)
    assert values("--targets", "file")["vips"] == ()
    configured('url = ["http://a", "http://b"]')
    assert values()["url"] == ("http://a", "http://b")
    assert values("http://c")["url"] == ("http://c",)
    found = values("--vip", "10.9.9.9")
    assert (found["url"], found["vips"]) == ((), ("10.9.9.9",))
    configured('targets = "file"')
    assert values()["targets"] == "file"
    assert values("http://c")["targets"] is None


def test_the_command_line_comes_before_the_configuration() -> None:
    configured('requests = 7\nheader = ["A: 1"]')
    found = values("-n", "3", "-H", "B: 2")
    assert found["requests"] == 3
    assert found["headers"] == (("B", "2"),)


def test_what_is_given_turns_off_the_defaults_that_contradict_it() -> None:
    configured('vip = "10.1.2.3"\ntls = true\nrate = 5')
    found = values("http://other/", "--stage", "1s:1")
    assert (found["url"], found["vips"], found["tls"]) == (("http://other/",), (), False)
    assert found["rate"] is None


def test_the_nearest_file_that_has_the_table_counts(tmp_path: Path) -> None:
    configured("requests = 2", str(tmp_path / ".config" / "loadgen.toml"))
    assert values()["requests"] == 2
    Path("loadgen.toml").write_text('directors = ["local"]')
    assert values()["requests"] == 2
    configured("requests = 3")
    assert values()["requests"] == 3


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("requets = 3", "[burst]: unknown key 'requets'; did you mean 'requests'?"),
        ("xyzzy = 3", "[burst]: unknown key 'xyzzy'; expected one such as url, vip, "),
        ("requests = 0", "[burst] requests: "),
        ('rate = "fast"', "[burst] rate: 'fast': expected a rate above 0"),
        ("tls = 1", "[burst] tls: expected true or false"),
        ("requests = true", "[burst] requests: expected a text or number"),
        ("requests = [1]", "[burst] requests: expected a text or number"),
        ("header = [[1]]", "[burst] header: expected a text or number"),
        ("connect-timeout = 2026-01-01", "[burst] connect-timeout: expected a text or number"),
    ],
)
def test_what_an_option_does_not_take_is_refused_by_file_and_key(text: str, says: str) -> None:
    configured(text)
    with pytest.raises(UsageProblem, match=re.escape(f"loadgen.toml: {says}")) as caught:
        values()
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("directrs = []", "unknown key 'directrs'; did you mean 'directors'?"),
        ("burst = 3", "burst: expected a table"),
        ("vip = 3", "vip: expected a table"),
        ('[vip]\n"10.1.2.3" = 3', '[vip."10.1.2.3"]: expected a table'),
        ('[vip."10.1.2.3"]\ndirector = []', "did you mean 'directors'?"),
        ("a = " + "[" * 100_000, "loadgen.toml: "),
    ],
)
def test_other_keys_are_known_ones_too(text: str, says: str) -> None:
    Path("loadgen.toml").write_text(text)
    with pytest.raises(UsageProblem, match=re.escape(says)) as caught:
        values()
    assert "\n" not in str(caught.value)
    shown = run_in_process("loadgen", "burst", "http://127.0.0.1:1/", "-n", "1")
    assert (shown.returncode, shown.stderr.count("\n")) == (2, 1)


def test_help_is_shown_whatever_the_configuration_says() -> None:
    configured("xyzzy = 3")
    assert run_in_process("loadgen", "burst", "--help").returncode == 0
    assert run_in_process("loadgen", "burst", "--version").returncode == 0


@pytest.mark.parametrize("key", ["yes", "json", "director", "help", "version"])
def test_consent_and_what_has_its_own_place_cannot_be_configured(key: str) -> None:
    configured(f"{key} = true")
    shown = run_in_process("loadgen", "burst", "http://127.0.0.1:1/")
    assert shown.returncode == 2
    assert f"unknown key '{key}'" in shown.stderr


def test_the_parameters_that_yield_are_those_of_a_burst() -> None:
    names = {parameter.name for parameter in burst.params}
    assert set(YIELDS_TO) | {name for those in YIELDS_TO.values() for name in those} <= names
    keys = [key_of(parameter) for parameter in burst.params]
    assert len(set(keys)) == len(keys)


def test_the_defaults_in_force_are_named_before_the_run() -> None:
    configured('url = "http://127.0.0.1:1/"\nrequests = 2\nno-capture = true\noutput = "here"')
    shown = run_in_process("loadgen", "burst")
    assert (
        shown.stderr.splitlines()[0] == "loadgen.toml: [burst]: url, requests, no-capture, output"
    )
    assert "0 of 2 requests succeeded" in shown.stdout
    assert (Path("here") / "run.json").exists()
