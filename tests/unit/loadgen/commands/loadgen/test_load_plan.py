"""The plan that the flags of a load come to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click
import pytest

from loadgen.commands.loadgen.load_options import LoadOptions, load_options
from loadgen.commands.loadgen.load_plan import plan_of
from loadgen.commands.options import options_as
from loadgen.errors import UsageProblem
from loadgen.load.hold import Hold
from loadgen.load.plan import ClosedModel, Datagram, LoadPlan, OpenModel, Stage

if TYPE_CHECKING:
    from pathlib import Path


def plan_and_why(*words: str) -> tuple[LoadPlan, str]:
    """What plan_of makes of a command line."""

    @click.command()
    @load_options
    def command(**options: Any) -> tuple[LoadPlan, str]:
        return plan_of(options_as(LoadOptions, options))

    is_aimed = {"--vip", "--targets"} & set(words) or any("://" in word for word in words)
    aim = [] if is_aimed else ["--vip", "127.0.0.1"]
    found = command.main([*aim, *words], standalone_mode=False)
    assert isinstance(found, tuple)
    return found


def plan(*words: str) -> LoadPlan:
    return plan_and_why(*words)[0]


def stage(duration_s: float, rate_per_s: float) -> Stage:
    return Stage(duration_s=duration_s, rate_per_s=rate_per_s)


@pytest.mark.parametrize(
    ("words", "arrivals"),
    [
        ("", ClosedModel(requests=50)),
        ("-n 7 -c 3 --think 100ms", ClosedModel(requests=7, concurrency=3, think_s=0.1)),
        ("-z 10s -c 2", ClosedModel(concurrency=2, duration_s=10)),
        ("-z 10s -n 5", ClosedModel(requests=5, duration_s=10)),
        ("-q 500 -z 60s", OpenModel(stages=(stage(60, 500),))),
        ("--rate 500/s --duration 1m", OpenModel(stages=(stage(60, 500),))),
        ("-q 100 -n 20", OpenModel(stages=(stage(0.2, 100),), requests=20)),
        ("-q 100", OpenModel(stages=(stage(0.5, 100),))),
        ("-q 100 -z 1 -c 9", OpenModel(stages=(stage(1, 100),), at_once=9)),
        (
            "--stage 10s:100 --stage 5:0 --stage 1m:250/s --arrivals poisson --seed 3",
            OpenModel(
                stages=(stage(10, 100), stage(5, 0), stage(60, 250)), arrivals="poisson", seed=3
            ),
        ),
    ],
)
def test_when_to_send(words: str, arrivals: ClosedModel | OpenModel) -> None:
    assert plan(*words.split()).arrivals == arrivals


def test_a_url_is_what_flags_would_say() -> None:
    assert plan("https://127.0.0.1:8443/a?b", "-k") == plan(
        *("--port", "8443", "--tls", "--path", "/a?b", "-k")
    )
    assert plan("http://127.0.0.1/") == plan()


def test_a_url_does_not_go_with_datagrams() -> None:
    with pytest.raises(UsageProblem, match="a URL and --udp"):
        plan("http://127.0.0.1/", "--udp")


def test_the_request_as_curl_would_have_it(tmp_path: Path) -> None:
    (tmp_path / "body").write_bytes(b"\x00\x01")
    made = plan(
        *("-X", "POST", "-H", "X-A: 1", "-H", "Empty:", "--body", f"@{tmp_path}/body"),
        *("--tls", "-k", "--sni", "www.example.net", "-L", "--path", "/a?b"),
    )
    request = made.request
    assert (request.method, request.path, request.body) == ("POST", "/a?b", b"\x00\x01")
    assert request.headers == (("X-A", "1"), ("Empty", ""))
    assert (request.tls, request.verify, request.server_name) == (True, False, "www.example.net")
    assert request.redirects == 10
    assert made.target.port == 443
    assert plan("--body", "text").request.body == b"text"


def test_a_name_stands_in_host_and_sni() -> None:
    made = plan("--vip", "x.example", "--resolve", "x.example:443:192.0.2.1", "--tls")
    assert made.target.vip == "192.0.2.1"
    assert (made.request.authority, made.request.server_name) == ("x.example:443", "x.example")


def test_how_connections_end() -> None:
    made = plan("--close", "client=70,server=20,reset=10", "--hold", "1500ms")
    assert made.closing.shares == (("client", 70), ("server", 20), ("reset", 10))
    assert made.closing.hold == Hold(given_s=(1.5,))


@pytest.mark.parametrize(
    ("words", "hold"),
    [
        ("uniform(1s,5s)", Hold(distribution="uniform", given_s=(1, 5), seed=7)),
        ("uniform( 500ms , 1m )", Hold(distribution="uniform", given_s=(0.5, 60), seed=7)),
        ("exponential(3s)", Hold(distribution="exponential", given_s=(3,), seed=7)),
    ],
)
def test_a_hold_may_be_a_distribution(words: str, hold: Hold) -> None:
    assert plan("--hold", words, "--seed", "7").closing.hold == hold


def test_where_from_and_how() -> None:
    made = plan("--local-ips", "127.0.0.2-127.0.0.4", "--processes", "2", "--tcp-info")
    assert made.sources == ("127.0.0.2", "127.0.0.3", "127.0.0.4")
    assert (made.processes, made.tcp_info) == (2, True)


@pytest.mark.parametrize(
    ("words", "datagram"),
    [
        ("--udp", Datagram()),
        ("--udp --payload x --no-answer", Datagram(payload=b"x", answered=False)),
    ],
)
def test_datagrams(words: str, datagram: Datagram) -> None:
    made, _ = plan_and_why(*words.split())
    assert made.datagram == datagram
    assert (made.target.protocol, made.engine) == ("UDP", "sockets")


@pytest.mark.parametrize(
    ("words", "engine"),
    [
        ("-n 50", "http"),
        ("-n 5000", "sockets"),
        ("-q 10 -z 1", "sockets"),
        ("-n 5000 --tls", "http"),
    ],
)
def test_auto_says_what_it_chose_and_why(words: str, engine: str) -> None:
    made, why = plan_and_why(*words.split())
    assert made.engine == engine
    assert why


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("-4 -6", "-4 and -6"),
        ("--stage 1:1 -q 5", "--stage"),
        ("-q 5 --think 1", "--think"),
        ("-k", "--tls"),
        ("--payload x", "--udp"),
        ("--udp --close reset", "--udp has no connections"),
        ("--engine sockets --tls", "--engine sockets cannot do TLS"),
        ("--engine http --close abandon", "--engine http cannot do --close abandon"),
        ("--engine packets --tls", "--engine packets cannot do TLS: it speaks plain HTTP"),
        ("--engine packets --udp", "--engine packets cannot do --udp: it plays TCP alone"),
        ("--engine packets -L", "--engine packets cannot do --location: it follows no redirects"),
        ("--engine packets --processes 2", "packets cannot do --processes: one process is all"),
        ("--close half-open", "name --engine packets"),
        ("--local-ips 2001:db8::1", "family"),
        ("--connect-to x", "--connect-to"),
    ],
)
def test_what_does_not_go_together_is_one_line(words: str, said: str) -> None:
    with pytest.raises(UsageProblem, match=said) as caught:
        plan(*words.split())
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "words",
    [
        ["-n", "0"],
        ["--hold", "normal(1s)"],
        ["--hold", "uniform(1s)"],
        ["--hold", "uniform(1s,2)x"],
        ["-c", "0"],
        ["-q", "0"],
        ["-z", "0"],
        ["--timeout", "0"],
        ["--stage", "10s"],
        ["--stage", "0:5"],
        ["--stage", "5:x"],
        ["--close", "client=70,client=30"],
        ["-H", "no colon"],
        ["-H", "Bad: a\r\nInjected: b"],
        ["--body", "@/no/such/file"],
        ["--path", "no-slash"],
        ["--vip", "a b"],
        ["--processes", "0"],
    ],
)
def test_a_value_that_is_none_is_refused_by_its_flag(words: list[str]) -> None:
    with pytest.raises(click.BadParameter):
        plan(*words)


def ends(made: LoadPlan) -> list[tuple[str, int, bool, str]]:
    return [
        (each.target.vip, each.target.port, each.request.tls, each.request.path)
        for each in made.planned_targets
    ]


def test_several_vips_take_turns_in_the_order_given() -> None:
    made = plan(
        "--vip", "10.0.0.2", "--vip", "10.0.0.1:81", "--vip", "[fd00::1]:82", "--path", "/x"
    )
    assert ends(made) == [
        ("10.0.0.2", 80, False, "/x"),
        ("10.0.0.1", 81, False, "/x"),
        ("fd00::1", 82, False, "/x"),
    ]
    assert [target.port for target in made.targets] == [80, 81, 82]


def test_several_urls_have_their_own_paths_and_tls() -> None:
    made = plan("http://10.0.0.1/a", "https://10.0.0.1/b", "http://10.0.0.1/b", "-k")
    assert ends(made) == [
        ("10.0.0.1", 80, False, "/a"),
        ("10.0.0.1", 443, True, "/b"),
        ("10.0.0.1", 80, False, "/b"),
    ]
    assert [target.port for target in made.targets] == [80, 443]
    assert made.vips == ("10.0.0.1",)


def test_a_file_of_targets_is_read_line_by_line(tmp_path: Path) -> None:
    file = tmp_path / "targets"
    file.write_text("# both\n10.0.0.1\n\nhttps://10.0.0.2/health  # secure\n[fd00::1]:8080\n")
    made = plan("--targets", str(file))
    assert ends(made) == [
        ("10.0.0.1", 80, False, "/"),
        ("10.0.0.2", 443, True, "/health"),
        ("fd00::1", 8080, False, "/"),
    ]


def test_udp_goes_to_several_targets() -> None:
    made = plan("--udp", "--vip", "10.0.0.1:53", "--vip", "10.0.0.2:53")
    assert [target.protocol for target in made.targets] == ["UDP", "UDP"]
    assert made.engine == "sockets"


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (
            "--vip 10.0.0.1 --vip 10.0.0.1:80",
            "--vip 10.0.0.1:80: the same target as --vip 10.0.0.1",
        ),
        ("http://10.0.0.1 http://10.0.0.1/", "URL 2: the same target as URL 1"),
        ("http://10.0.0.1 --vip 10.0.0.1", "a URL and --vip: expected one of them"),
        ("http://10.0.0.1 http://10.0.0.2 --port 81", "a URL and --port: expected one of them"),
        ("--vip 10.0.0.1:80 --vip 10.0.0.2 --port 81", "expected one port"),
        ("--vip 10.0.0.1 --vip 10.0.0.2 -k", "-k and --sni: expected https://"),
        ("--vip 10.0.0.1 --vip 10.0.0.2 --engine packets", "cannot do several targets"),
    ],
)
def test_targets_that_contradict_each_other_are_refused(words: str, says: str) -> None:
    with pytest.raises(UsageProblem) as caught:
        plan(*words.split())
    assert says in str(caught.value)


def test_more_targets_than_a_load_may_have_are_refused() -> None:
    words = [word for n in range(65) for word in ("--vip", f"10.0.0.{n}")]
    assert len(plan(*words[:128]).targets) == 64
    with pytest.raises(UsageProblem, match="--vip: expected at most 64 targets"):
        plan(*words)


@pytest.mark.parametrize(
    ("text", "words", "says"),
    [
        ("10.0.0.1\n10.0.0.1:80\n", "", ":2: the same target as {file}:1"),
        ("10.0.0.1:80\n", "--port 81", ":1 and --port 81: expected one port"),
        ("10.0.0.2\nhttp://10.0.0.1\n", "--port 81", ":2: a URL and --port: expected one of them"),
        ("10.0.0.1\n", "--vip 10.0.0.2", "--vip and --targets: expected one of them"),
        ("http://10.0.0.1\n", "--udp", "a URL and --udp"),
    ],
)
def test_a_line_of_a_file_is_refused_by_file_and_line(
    text: str, words: str, says: str, tmp_path: Path
) -> None:
    file = tmp_path / "targets"
    file.write_text(text)
    with pytest.raises(UsageProblem) as caught:
        plan("--targets", str(file), *words.split())
    assert says.format(file=file) in str(caught.value)
