"""What a lab needs of the machine, by what its directors are."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from loadgen.errors import UsageProblem
from loadgen.lab.kernels import fetch, images
from loadgen.lab.kernels.images import KernelImage
from loadgen.lab.system import preflight
from loadgen.lab.topology.layout import lay_out
from loadgen.lab.topology.model import Kernel

if TYPE_CHECKING:
    from loadgen.lab.topology.model import Topology


def by_rules(kind: str) -> Topology:
    return lay_out(director_kind=kind, forwarding="nat", kernel=Kernel.UML)


@pytest.fixture
def nothing_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preflight.shutil, "which", lambda program, path: None)  # type: ignore[attr-defined]
    monkeypatch.setattr(preflight.os, "geteuid", lambda: 0)  # type: ignore[attr-defined]


@pytest.mark.usefixtures("nothing_is_installed")
@pytest.mark.parametrize(
    ("topology", "more"),
    [
        (lay_out(), set()),
        (
            by_rules("nftables"),
            {
                "nft is not installed: apt install nftables",
                "conntrack is not installed: apt install conntrack",
            },
        ),
        (
            by_rules("iptables"),
            {
                "iptables-legacy-restore is not installed: apt install iptables",
                "conntrack is not installed: apt install conntrack",
            },
        ),
    ],
)
def test_programs_for_rules_are_asked_for_only_where_there_are_rules(
    topology: Topology, more: set[str]
) -> None:
    always = set(preflight.missing_programs(preflight.PACKAGES))
    assert set(preflight.problems(topology)) == always | more
    assert always.isdisjoint(more)


@pytest.mark.parametrize(("kind", "module"), [("nftables", "nft_nat"), ("iptables", "iptable_nat")])
def test_a_kernel_image_that_cannot_translate_is_refused_in_one_line(
    kind: str, module: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    release = tmp_path / "6.1.176"
    release.mkdir()
    dep = release / "modules.dep"
    dep.write_text(f"kernel/net/netfilter/x_{module}.ko:\nkernel/net/{module}s.ko:\n")
    image = KernelImage(program=Path("/linux.uml"), modules=tmp_path)
    monkeypatch.setattr(preflight, "problems", lambda topology: iter(()))
    monkeypatch.setattr(fetch, "provide", lambda specification, say: None)
    monkeypatch.setattr(images, "find", lambda specification: image)
    with pytest.raises(
        UsageProblem, match=f"^User-Mode Linux as installed has no {module}: a dire"
    ):
        preflight.check(by_rules(kind), print)
    preflight.check(lay_out(kernel=Kernel.UML), print)
    (release / "modules.builtin").write_text(f"kernel/net/netfilter/{module}.ko\n")
    preflight.check(by_rules(kind), print)
    (release / "modules.builtin").unlink()
    dep.write_text(f"kernel/net/netfilter/{module}.ko.xz: kernel/net/netfilter/nf_nat.ko.xz\n")
    preflight.check(by_rules(kind), print)
