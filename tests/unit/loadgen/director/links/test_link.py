"""A link to a director: how it is written, and the command that it stands for."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from loadgen.director.links.clients import director_client
from loadgen.director.links.link import is_link, lab_link, parse_link
from loadgen.errors import UsageProblem

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("spec", "name", "kind", "ends_with"),
    [
        ("local", "local", "local", ["sh"]),
        ("ssh://bal01", "bal01", "ssh", ["--", "bal01", "exec sh"]),
        ("ssh://root@bal01", "bal01", "ssh", ["--", "root@bal01", "exec sh"]),
        ("ssh://root@bal01:2222", "bal01:2222", "ssh", ["2222", "--", "root@bal01", "exec sh"]),
        ("ssh://root@10.0.0.1/", "10.0.0.1", "ssh", ["--", "root@10.0.0.1", "exec sh"]),
        ("ssh://root@[fd00::1]:22", "fd00::1:22", "ssh", ["22", "--", "root@fd00::1", "exec sh"]),
        ("exec:docker exec -i bal01", "docker exec -i bal01", "exec", ["-i", "bal01", "sh"]),
        (
            "exec:kubectl exec -i -n kube-system kube-proxy-x --",
            "kube-proxy-x",
            "exec",
            ["--", "sh"],
        ),
        ("exec:kubectl -n a --context=b exec -ti pod/x -c p --", "x", "exec", ["--", "sh"]),
        ("exec:sudo /usr/bin/kubectl exec -i x --", "x", "exec", ["x", "--", "sh"]),
        ("exec:oc exec -i ds/kube-proxy --", "kube-proxy", "exec", ["--", "sh"]),
        ("exec:kubectl exec -i --", "kubectl", "exec", ["--", "sh"]),
        ("exec:kubectl", "kubectl", "exec", ["kubectl", "sh"]),
        ("exec:ip netns exec 'a b'", "ip netns exec a b", "exec", ["exec", "a b", "sh"]),
    ],
)
def test_a_director_is_reached_as_it_is_written(
    spec: str, name: str, kind: str, ends_with: list[str]
) -> None:
    found = parse_link(spec)
    assert (found.name, found.kind, found.spec) == (name, kind, spec)
    assert list(found.argv[-len(ends_with) :]) == ends_with


@pytest.mark.parametrize(
    "spec", ["local", "ssh://root@10.0.0.1:22", "exec:kubectl exec -i x --", "exec:env A=ssh://b"]
)
def test_a_director_may_have_a_name(spec: str) -> None:
    named, plain = parse_link("lb-1.example=" + spec), parse_link(spec)
    assert (named.name, named.is_named) == ("lb-1.example", True)
    assert replace(named, name=plain.name, is_named=False) == plain
    assert is_link(f"lb1={spec}")


@pytest.mark.parametrize("spec", ["=local", "-a=local", "a b=local", "a/b=local", "a=bal01", "a="])
def test_a_name_is_a_word_before_a_link(spec: str) -> None:
    with pytest.raises(UsageProblem, match="with or without NAME= before it"):
        parse_link(spec)


@pytest.mark.parametrize(
    ("spec", "name", "worker", "kind"),
    [
        ("worker:lb1", "lb1", "lb1", "local"),
        ("worker:10.0.0.3:4000", "10.0.0.3:4000", "10.0.0.3:4000", "local"),
        ("worker:client3,ssh://root@lb1", "lb1", "client3", "ssh"),
        ("worker:client 3,exec:docker exec -i lb1", "docker exec -i lb1", "client 3", "exec"),
        ("worker:lb1,local", "local", "lb1", "local"),
    ],
)
def test_a_director_may_be_reached_from_a_worker_of_a_cluster(
    spec: str, name: str, worker: str, kind: str
) -> None:
    found = parse_link(spec)
    assert (found.name, found.worker, found.kind, found.spec) == (name, worker, kind, spec)
    beyond = spec.partition(",")[2] or "local"
    assert (found.argv, parse_link(beyond).worker) == (parse_link(beyond).argv, None)
    named = parse_link(f"a=netfilter+{spec}")
    assert (named.name, named.director_kind, named.worker) == ("a", "netfilter", worker)
    assert is_link(spec)


@pytest.mark.parametrize(
    "spec", ["worker:", "worker:a,", "worker:a,bal01", "worker:a,worker:b", "worker:,local"]
)
def test_a_worker_has_a_name_and_a_link_of_its_own(spec: str) -> None:
    with pytest.raises(UsageProblem, match=r"worker:WORKER\[,LINK\]"):
        parse_link(spec)


def test_a_link_from_a_worker_is_none_from_this_host() -> None:
    with pytest.raises(UsageProblem, match=r"--director worker:lb1: expected --cluster"):
        director_client(parse_link("lb1=worker:lb1"))


def test_ssh_never_asks_and_notices_when_the_other_end_is_gone() -> None:
    argv = " ".join(parse_link("ssh://bal01").argv)
    assert argv.startswith("ssh -T ")
    for option in ("BatchMode=yes", "ConnectTimeout=5", "ServerAliveInterval=2"):
        assert f"-o {option}" in argv


@pytest.mark.parametrize(
    "spec",
    [
        "",
        "bal01",  # no scheme
        "ssh:bal01",
        "ssh://",
        "ssh://root@",
        "ssh://root@bal01:port",
        "ssh://root:secret@bal01",  # it would stand in the manifest and in ps
        "ssh://root@bal01:99999",
        "ssh://root@bal01/etc/passwd",
        "ssh://-oProxyCommand=reboot",  # an option in a host's clothes
        "ssh://[fd00::1",
        "http://bal01",
        "exec:",
        "exec:   ",
        "exec:'unclosed",
        "LOCAL",
    ],
)
def test_anything_else_is_refused_with_what_was_expected(spec: str) -> None:
    with pytest.raises(UsageProblem, match="--director") as caught:
        parse_link(spec)
    assert "\n" not in str(caught.value)


def test_a_labs_director_is_reached_by_the_labs_own_ssh_configuration(tmp_path: Path) -> None:
    found = lab_link("bal01", "192.168.10.11", tmp_path / "ssh_config")
    assert found.argv[:3] == ("ssh", "-F", str(tmp_path / "ssh_config"))
    assert found.argv[-3:] == ("--", "bal01", "exec sh")
    assert (found.name, found.spec) == ("bal01", "ssh://root@192.168.10.11")


@pytest.mark.parametrize("plain", ["local", "ssh://root@bal01", "exec:docker exec -i bal01"])
@pytest.mark.parametrize("kind", ["ipvs", "netfilter"])
def test_what_keeps_the_connections_can_be_said_before_a_link(plain: str, kind: str) -> None:
    found = parse_link(f"lb1={kind}+{plain}")
    assert (found.name, found.director_kind, found.spec) == ("lb1", kind, plain)
    assert found.argv == parse_link(plain).argv
    assert parse_link(f"{kind}+{plain}").director_kind == kind
    assert is_link(f"{kind}+{plain}")


def test_without_it_the_director_is_asked() -> None:
    assert parse_link("lb1=ssh://bal01").director_kind is None


@pytest.mark.parametrize("spec", ["bpf+local", "netfilter+", "netfilter+netfilter+local"])
def test_another_word_before_a_link_is_refused(spec: str) -> None:
    with pytest.raises(UsageProblem, match="expected local, ssh://"):
        parse_link(spec)
