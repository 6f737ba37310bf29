"""Which directors hold a VIP: the lab's, as given, as configured."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

import loadgen.lab.lab
from loadgen.director.links.configured import directors_in
from loadgen.errors import UsageProblem
from loadgen.session.files import read_text
from loadgen.sites import Site, changes_only_a_lab, find_site, stand_in

if TYPE_CHECKING:
    from collections.abc import Sequence

    from loadgen.director.links.link import Link

VIP = "192.0.2.2"


@pytest.fixture(autouse=True)
def nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working directory and home, no lab, no variable."""
    (tmp_path / "home" / ".config").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.delenv("LOADGEN_DIRECTOR", raising=False)
    labs_are(monkeypatch)
    return tmp_path


def labs_are(monkeypatch: pytest.MonkeyPatch, *labs: object) -> None:
    monkeypatch.setattr(loadgen.lab.lab, "running_labs", lambda: list(labs))


def lab(name: str = "lab", vip: str = VIP, *, has_ipvs: bool = True) -> SimpleNamespace:
    """What a site needs to know of a lab."""
    return SimpleNamespace(
        name=name,
        director_names=["bal01", "bal02"],
        client_namespace=f"{name}-client",
        client_interface="eth1",
        ssh_config=Path(f"/run/{name}/ssh_config"),
        holds=lambda address: address == vip,
        servers={"srv01": None, "srv02": None},
        command=lambda host, argv: ["ip", "netns", "exec", f"{name}-{host}", *argv],
        topology=SimpleNamespace(
            vip=vip,
            host=lambda _: SimpleNamespace(address="10.0.0.1"),
            has_ipvs=has_ipvs,
        ),
    )


def names(*given: str, lab_name: str | None = None) -> list[str]:
    return [link.name for link in find_site(VIP, given, lab_name).directors]


@pytest.mark.parametrize(("has_ipvs", "kind"), [(True, "ipvs"), (False, "netfilter")])
def test_a_labs_directors_are_read_as_the_lab_made_them(
    has_ipvs: bool, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    labs_are(monkeypatch, lab(has_ipvs=has_ipvs))
    links = find_site(VIP, [], None).directors
    assert [link.director_kind for link in links] == [kind] * 2


def test_with_none_named_a_burst_is_a_plain_load_test() -> None:
    assert find_site(VIP, [], None) == Site(directors=(), namespace=None, interface=None, lab=None)


def test_directors_are_as_given_and_each_only_once() -> None:
    assert names("ssh://root@a", "local", "ssh://root@a") == ["a", "local"]


def test_directors_have_the_names_that_they_are_given() -> None:
    assert names("lb1=ssh://root@10.0.0.1", "lb2=local") == ["lb1", "lb2"]
    links = find_site(VIP, ["lb1=ssh://root@10.0.0.1"], None).directors
    assert [link.spec for link in links] == ["ssh://root@10.0.0.1"]


def test_a_director_with_a_name_is_no_labs(monkeypatch: pytest.MonkeyPatch) -> None:
    labs_are(monkeypatch, lab())
    site = find_site(VIP, ["lb1=local"], None)
    assert not changes_only_a_lab(site, ["lb1=local"])


def test_two_directors_of_one_name_are_refused() -> None:
    with pytest.raises(UsageProblem, match="two hosts are called a"):
        names("ssh://root@a", "ssh://admin@a")


def test_what_was_given_comes_before_what_is_configured(nowhere: Path) -> None:
    (nowhere / "loadgen.toml").write_text('directors = ["ssh://configured"]')
    assert names("ssh://given") == ["given"]
    assert names() == ["configured"]


def test_the_working_directorys_file_comes_before_the_homes_and_that_before_the_variable(
    nowhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOADGEN_DIRECTOR", "ssh://variable")
    assert names() == ["variable"]
    (nowhere / "home" / ".config" / "loadgen.toml").write_text('directors = ["ssh://home"]')
    assert names() == ["home"]
    (nowhere / "loadgen.toml").write_text('directors = ["ssh://here"]')
    assert names() == ["here"]
    (nowhere / "loadgen.toml").write_text("")  # names none: the next one counts
    assert names() == ["home"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("ssh://a", ["a"]),
        ("ssh://a;ssh://b", ["a", "b"]),
        ("ssh://a\nssh://b\n", ["a", "b"]),
        (" exec:ip netns exec a ; ssh://b ;", ["ip netns exec a", "b"]),
        ("", []),
        (" ; ", []),
    ],
)
def test_the_variable_may_name_several(
    text: str, expected: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOADGEN_DIRECTOR", text)
    assert names() == expected


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ({}, []),
        ({"directors": ["ssh://a"]}, ["ssh://a"]),
        ({"vip": {VIP: {"directors": ["ssh://own"]}}, "directors": ["ssh://a"]}, ["ssh://own"]),
        ({"vip": {"192.0.2.9": {"directors": ["ssh://other"]}}}, []),
        ({"vip": {"192.0.2.9": {}}, "directors": ["ssh://a"]}, ["ssh://a"]),
        ({"vip": "nonsense", "directors": ["ssh://a"]}, ["ssh://a"]),
        ({"vip": {VIP: 7}, "directors": ["ssh://a"]}, ["ssh://a"]),
    ],
)
def test_a_vips_own_directors_go_before_those_of_all(
    config: dict[str, Any], expected: list[str]
) -> None:
    assert directors_in(config, VIP, where="loadgen.toml") == expected


@pytest.mark.parametrize(
    "config",
    [
        {"directors": "ssh://a"},
        {"directors": ["ssh://a", 7]},
        {"directors": {"a": 1}},
        {"vip": {VIP: {"directors": "ssh://a"}}},
    ],
)
def test_directors_that_are_no_list_of_strings_are_refused_by_name_of_the_file(
    config: dict[str, Any],
) -> None:
    with pytest.raises(UsageProblem, match=r"my\.toml: directors: expected a list"):
        directors_in(config, VIP, where="my.toml")


@pytest.mark.parametrize("content", [b"directors = [", b"\xff\xfe", b"= 7"])
def test_a_file_that_cannot_be_read_is_one_clear_error(content: bytes, nowhere: Path) -> None:
    (nowhere / "loadgen.toml").write_bytes(content)
    with pytest.raises(UsageProblem, match=r"loadgen\.toml: ") as caught:
        names()
    assert "\n" not in str(caught.value)


def test_a_director_in_a_file_that_is_none_is_refused(nowhere: Path) -> None:
    (nowhere / "loadgen.toml").write_text('directors = ["bal01"]')
    with pytest.raises(UsageProblem, match="bal01"):
        names()


def test_a_running_lab_that_holds_the_vip_is_sent_from(monkeypatch: pytest.MonkeyPatch) -> None:
    labs_are(monkeypatch, lab())
    found = find_site(VIP, [], None)
    assert [link.name for link in found.directors] == ["bal01", "bal02"]
    assert (found.lab, found.namespace, found.interface) == ("lab", "lab-client", "eth1")
    assert found.directors[0].argv[:3] == ("ssh", "-F", "/run/lab/ssh_config")


def test_in_a_lab_a_hosts_name_will_do(monkeypatch: pytest.MonkeyPatch) -> None:
    labs_are(monkeypatch, lab())
    assert names("bal02") == ["bal02"]
    assert names("bal02", "ssh://elsewhere") == ["bal02", "elsewhere"]
    assert names("bal02", "bal02") == ["bal02"]
    with pytest.raises(UsageProblem, match="two hosts are called bal02"):
        names("bal02", "ssh://root@bal02")


def test_a_labs_servers_are_counted_unless_others_are_given(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    labs_are(monkeypatch, lab())
    servers = find_site(VIP, [], None).servers
    assert [link.name for link in servers] == ["srv01", "srv02"]
    assert servers[0].argv == ("ip", "netns", "exec", "lab-srv01", "sh")
    given = find_site(VIP, [], None, ["srv02", "ssh://web9"]).servers
    assert [link.name for link in given] == ["srv02", "web9"]


def test_outside_of_a_lab_servers_are_those_with_a_link() -> None:
    assert find_site(VIP, [], None).servers == ()
    assert [link.name for link in find_site(VIP, [], None, ["ssh://web1"]).servers] == ["web1"]
    with pytest.raises(UsageProblem, match="--server web1: expected"):
        find_site(VIP, [], None, ["web1"])
    with pytest.raises(UsageProblem, match="--server worker:web1: only --director takes worker:"):
        find_site(VIP, [], None, ["web1=worker:web1"])
    with pytest.raises(UsageProblem, match="--server ssh://web1: two hosts"):
        find_site(VIP, [], None, ["ssh://web1", "ssh://root@web1"])


def captures_on(name: str, given: Sequence[str] = (), servers: Sequence[str] = ()) -> Link | None:
    return find_site(VIP, given, None, servers, name).capture_on


def test_in_a_lab_any_host_captures_by_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    labs_are(monkeypatch, lab())
    assert captures_on("client") is None
    for name in ("bal02", "srv02"):
        link = captures_on(name, given=["bal01"], servers=["srv01"])
        assert link is not None
        assert link.name == name


def test_outside_of_a_lab_a_host_of_the_run_captures_or_one_with_a_link() -> None:
    given, servers = ["ssh://root@lb1:2222"], ["ssh://web1"]
    shown = [
        (link.name, link.spec)
        for name in ("lb1:2222", "ssh://root@lb1:2222", "web1", "ssh://elsewhere", "local")
        if (link := captures_on(name, given, servers))
    ]
    lb1, web1 = ("lb1:2222", given[0]), ("web1", servers[0])
    assert shown == [lb1, lb1, web1, ("elsewhere", "ssh://elsewhere"), ("local", "local")]
    with pytest.raises(UsageProblem, match="--capture-on nobody: expected"):
        captures_on("nobody", given, servers)
    with pytest.raises(UsageProblem, match="--capture-on worker:w: only --director takes worker:"):
        captures_on("lb2", ["lb2=worker:w"])


def test_a_lab_of_another_vip_is_not_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    labs_are(monkeypatch, lab(vip="192.0.2.9"))
    assert find_site(VIP, [], None).lab is None


def test_of_several_labs_one_must_be_named(monkeypatch: pytest.MonkeyPatch) -> None:
    labs_are(monkeypatch, lab("one"), lab("two"))
    with pytest.raises(UsageProblem, match="--lab"):
        find_site(VIP, [], None)
    assert find_site(VIP, [], "two").lab == "two"


def test_a_lab_that_is_not_up_is_refused() -> None:
    with pytest.raises(UsageProblem, match="--lab nowhere"):
        find_site(VIP, [], "nowhere")


def test_outside_of_a_lab_the_process_stays_where_it_is() -> None:
    said: list[str] = []
    stand_in(find_site(VIP, [], None), VIP, said.append)
    assert said == []


# -- commands that only watch: nobody's directors answer for another's ----------------------------

PRODUCTION = "ssh://root@lb1"


def watched(*given: str, vip: str | None = None, lab_name: str | None = None) -> Site:
    return find_site(vip, given, lab_name, sends=False)


def asked(site: Site) -> tuple[str | None, list[str]]:
    return site.lab, [link.name for link in site.directors]


def test_a_running_lab_is_watched_where_nothing_else_is_configured(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    labs_are(monkeypatch, lab())
    assert asked(watched()) == ("lab", ["bal01", "bal02"])
    assert asked(watched("bal02")) == ("lab", ["bal02"])
    assert asked(watched(vip=VIP)) == ("lab", ["bal01", "bal02"])


@pytest.mark.parametrize("how", ["variable", "here", "home"])
def test_what_is_configured_is_watched_although_a_lab_is_up(
    how: str, nowhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    labs_are(monkeypatch, lab(), lab("another"))
    if how == "variable":
        monkeypatch.setenv("LOADGEN_DIRECTOR", PRODUCTION)
    else:
        folder = nowhere if how == "here" else nowhere / "home" / ".config"
        (folder / "loadgen.toml").write_text(f'directors = ["{PRODUCTION}"]')
    found = watched()
    assert asked(found) == (None, ["lb1"])
    assert found.namespace is None


def test_a_director_that_is_given_by_a_link_is_not_sought_from_within_a_lab(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Its address may be that of a lab's host, there."""
    labs_are(monkeypatch, lab())
    for vip in (None, VIP):
        found = watched(PRODUCTION, vip=vip)
        assert asked(found) == (None, ["lb1"])
        assert found.namespace is None


def test_a_labs_host_may_be_configured_by_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    labs_are(monkeypatch, lab())
    monkeypatch.setenv("LOADGEN_DIRECTOR", "bal02")
    assert asked(watched()) == ("lab", ["bal02"])
    assert asked(watched(vip=VIP)) == ("lab", ["bal02"])


def test_a_vip_that_both_a_lab_and_the_configuration_have_is_refused_by_both_names(
    nowhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    labs_are(monkeypatch, lab())
    (nowhere / "loadgen.toml").write_text(f'[vip."{VIP}"]\ndirectors = ["{PRODUCTION}"]')
    with pytest.raises(UsageProblem, match=r"lab 'lab' is up .*loadgen\.toml names ssh://root@lb1"):
        watched(vip=VIP)
    assert asked(watched(vip=VIP, lab_name="lab")) == ("lab", ["bal01", "bal02"])
    assert asked(watched(vip="192.0.2.9", lab_name=None)) == (None, [])


def test_a_lab_that_is_named_is_watched_whatever_is_configured(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    labs_are(monkeypatch, lab())
    monkeypatch.setenv("LOADGEN_DIRECTOR", PRODUCTION)
    assert asked(watched(lab_name="lab")) == ("lab", ["bal01", "bal02"])


def test_directors_configured_by_vip_are_watched_if_all_vips_have_the_same(
    nowhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    labs_are(monkeypatch, lab())
    one, two = f'[vip."{VIP}"]\ndirectors = ["ssh://a", "ssh://b"]\n', '[vip."192.0.2.9"]\n'
    (nowhere / "loadgen.toml").write_text(one + two + 'directors = ["ssh://b", "ssh://a"]')
    assert asked(watched()) == (None, ["a", "b"])
    (nowhere / "loadgen.toml").write_text(one + two + 'directors = ["ssh://c"]')
    with pytest.raises(UsageProblem, match=r"192\.0\.2\.2, 192\.0\.2\.9 differ: name one VIP"):
        watched()
    assert asked(watched(vip="192.0.2.9")) == (None, ["c"])


def test_load_for_a_vip_that_a_lab_holds_is_sent_in_the_lab(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    labs_are(monkeypatch, lab())
    monkeypatch.setenv("LOADGEN_DIRECTOR", PRODUCTION)
    assert asked(find_site(VIP, [], None)) == ("lab", ["bal01", "bal02"])


def test_only_a_labs_own_directors_are_changed_without_consent(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    labs_are(monkeypatch, lab())
    for given, own in (([], True), (["bal01"], True), ([PRODUCTION], False), (["local"], False)):
        assert changes_only_a_lab(find_site(VIP, given, None), given) is own
    labs_are(monkeypatch)
    assert not changes_only_a_lab(find_site(VIP, [], None), [])


def test_the_directors_of_several_vips_are_those_of_each(nowhere: Path) -> None:
    (nowhere / "loadgen.toml").write_text(
        f'directors = ["ssh://all"]\n[vip."{VIP}"]\ndirectors = ["ssh://a", "ssh://b"]\n'
        '[vip."192.0.2.3"]\ndirectors = ["ssh://b", "ssh://c"]\n'
    )
    found = find_site(VIP, [], None, also=["192.0.2.3", "192.0.2.4"])
    assert [link.name for link in found.directors] == ["a", "b", "c", "all"]
    given = find_site(VIP, ["ssh://given"], None, also=["192.0.2.3"])
    assert [link.name for link in given.directors] == ["given"]


def test_a_configuration_is_read_once_for_all_vips_and_the_next_only_if_it_is_needed(
    nowhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here, home = nowhere / "loadgen.toml", nowhere / "home" / ".config" / "loadgen.toml"
    here.write_text('[vip."192.0.2.3"]\ndirectors = ["ssh://here"]')
    home.write_text('directors = ["ssh://home"]')
    read: list[str] = []

    def noted(path: Path, most_bytes: int) -> str:
        read.append(str(path))
        return read_text(path, most_bytes)

    monkeypatch.setattr("loadgen.session.configuration.read_text", noted)

    found = find_site(VIP, [], None, also=["192.0.2.3", "192.0.2.4"])
    assert [link.spec for link in found.directors] == ["ssh://home", "ssh://here"]
    assert read == ["loadgen.toml", str(home)]

    home.write_text("this is no TOML")
    assert [link.spec for link in find_site("192.0.2.3", [], None).directors] == ["ssh://here"]


def test_all_vips_are_in_one_lab_or_in_none(monkeypatch: pytest.MonkeyPatch) -> None:
    both = lab()
    both.holds = lambda address: address in (VIP, "192.0.2.3")
    labs_are(monkeypatch, both, lab("other", "192.0.2.9"))
    assert find_site(VIP, [], None, also=["192.0.2.3"]).lab == "lab"
    assert find_site("192.0.2.7", [], None, also=["192.0.2.8"]).lab is None
    with pytest.raises(UsageProblem) as caught:
        find_site(VIP, [], None, also=["192.0.2.8"])
    assert str(caught.value) == (
        f"{VIP} is in lab 'lab', 192.0.2.8 is in no lab that is up: expected one place"
    )
    with pytest.raises(UsageProblem, match=r"192\.0\.2\.9 is in lab 'other': expected one place"):
        find_site(VIP, [], None, also=["192.0.2.9"])
