"""Timeouts come back, whatever happens; what somebody else has set stays."""

from __future__ import annotations

import asyncio
import re
from dataclasses import replace
from typing import TYPE_CHECKING, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analyzer.ipvs.states import Timeouts
from loadgen.director.links.client import DirectorClient
from loadgen.director.links.link import parse_link
from loadgen.director.links.shell import LinkLost, ShellAnswer
from loadgen.director.timeouts import change as change_module
from loadgen.director.timeouts import journal
from loadgen.director.timeouts.change import TimeoutsChange
from loadgen.director.timeouts.present import TimeoutsRefused
from loadgen.director.timeouts.restore import LeftTimeouts, due, put_back_left
from loadgen.errors import RunFailed, UsageProblem
from tests.unit.waiting import LIMIT_S, until

if TYPE_CHECKING:
    from pathlib import Path

    from loadgen.director.links.shell import Shell
    from loadgen.director.timeouts.journal import Owed

BEFORE = Timeouts(tcp_s=900, tcpfin_s=120, udp_s=300)


class Director:
    """The shell of a director with three timeouts, as far as they are asked for and set.

    Attributes:
        refusals: how many times it cannot be reached.
        deaf: ``--set`` is refused, with this complaint.
        journals: what was owed to it at each ``--set``.
    """

    def __init__(self, spec: str = "ssh://root@bal01", present: Timeouts = BEFORE) -> None:
        self.link = parse_link(spec)
        self.present = present
        self.refusals = 0
        self.deaf = ""
        self.journals: list[Owed | None] = []

    @property
    def client(self) -> DirectorClient:
        return DirectorClient(self.link, cast("Shell", self))

    @property
    def identity(self) -> str:
        return f"boot-of-{self.link.name} net:[1]"

    async def open(self) -> None:
        if self.refusals:
            self.refusals -= 1
            raise LinkLost(f"{self.link.spec}: no route to host")

    async def close(self) -> None:
        return

    async def ask(self, script: str, *, timeout_s: float, most_bytes: int = 0) -> ShellAnswer:
        assert timeout_s > 0
        return ShellAnswer(content=self._say(script).encode(), asked_ns=0, answered_ns=0)

    def _say(self, script: str) -> str:
        setting = re.search(r"ipvsadm --set (\d+) (\d+) (\d+) \|\|", script)
        if setting:
            self.journals.append(journal.read(self.identity))
            if self.deaf:
                return f"sudo: a password is required\n{self.deaf}\n"
            tcp, tcpfin, udp = (float(number) for number in setting.groups())
            now = self.present
            self.present = Timeouts(
                tcp_s=tcp or now.tcp_s, tcpfin_s=tcpfin or now.tcpfin_s, udp_s=udp or now.udp_s
            )
            return ""
        if "readlink" in script:
            return f"boot-of-{self.link.name}\nnet:[1]\n.\n"
        if "--timeout" in script:
            now = self.present
            return f"Timeout (tcp tcpfin udp): {now.tcp_s:g} {now.tcpfin_s:g} {now.udp_s:g}\n"
        return ""


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    monkeypatch.setattr(change_module, "_FIRST_DELAY_S", 0.001)
    return tmp_path


class Said(list[str]):
    """The lines that an operator would see."""

    def __call__(self, line: str) -> None:
        self.append(line)

    @property
    def text(self) -> str:
        return "\n".join(self)


def killed_sweep(director: Director, tcpfin_s: int, left: LeftTimeouts = "put back") -> None:
    """Leave a director as a sweep does that is killed after it has set a value."""

    async def sweep() -> None:
        change = await TimeoutsChange([director.client], Said(), left=left).__aenter__()
        await change.set_tcpfin(tcpfin_s)
        change.locks.close()  # as the kernel does for a process that is killed

    asyncio.run(sweep())


def next_command(director: Director, left: LeftTimeouts = "put back") -> str:
    said = Said()
    asyncio.run(put_back_left(director.client, said, left))
    return said.text


def test_a_value_is_in_force_within_and_the_old_ones_are_after() -> None:
    directors = [Director(), Director("ssh://bal02", replace(BEFORE, tcpfin_s=60))]
    seen = []

    async def sweep() -> None:
        async with TimeoutsChange([one.client for one in directors], Said()) as change:
            assert change.before["bal02"].tcpfin_s == 60
            for value in (10, 30):
                await change.set_tcpfin(value)
                seen.append([one.present for one in directors])

    asyncio.run(sweep())
    assert seen[0] == [replace(BEFORE, tcpfin_s=10)] * 2
    assert seen[1] == [replace(BEFORE, tcpfin_s=30)] * 2
    assert [one.present.tcpfin_s for one in directors] == [120, 60]
    assert not journal.are_any()


def test_what_is_owed_is_on_disk_before_each_change_and_names_what_may_be_in_force() -> None:
    director = Director()

    async def sweep() -> None:
        async with TimeoutsChange([director.client], Said()) as change:
            await change.set_tcpfin(10)
            await change.set_tcpfin(30)

    asyncio.run(sweep())
    owed = [one for one in director.journals if one]
    assert [one.before for one in owed] == [BEFORE] * 3
    assert [[each.tcpfin_s for each in one.ours] for one in owed] == [[120, 10], [10, 30], [10, 30]]
    assert owed[0].by_hand.endswith("root@bal01 'ipvsadm --set 0 120 0'")


@pytest.mark.parametrize("error", [RunFailed("broke"), KeyboardInterrupt(), SystemExit(3)])
def test_an_error_on_the_way_puts_them_back(error: BaseException) -> None:
    director = Director()

    async def sweep() -> None:
        async with TimeoutsChange([director.client], Said()) as change:
            await change.set_tcpfin(10)
            raise error

    with pytest.raises(type(error)):
        asyncio.run(sweep())
    assert director.present == BEFORE


def test_a_cancelled_sweep_puts_them_back() -> None:
    director = Director()

    async def sweep() -> None:
        async with TimeoutsChange([director.client], Said()) as change:
            await change.set_tcpfin(10)
            await asyncio.Event().wait()

    async def cancel() -> None:
        task = asyncio.create_task(sweep())
        assert await until(lambda: director.present != BEFORE)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(cancel())
    assert director.present == BEFORE


def test_the_next_command_puts_back_what_a_killed_sweep_left_and_says_so_once() -> None:
    director = Director()
    killed_sweep(director, 10)
    assert director.present.tcpfin_s == 10
    said = next_command(director)
    assert "without putting its timeouts 900 120 300 back" in said
    assert "900 120 300, as they were" in said
    assert director.present == BEFORE
    assert next_command(director) == ""


def test_keep_timeouts_leaves_them_for_a_later_command() -> None:
    director = Director()
    killed_sweep(director, 10)
    assert "--keep-timeouts" in next_command(director, "keep")
    assert director.present.tcpfin_s == 10
    assert next_command(director, "ours") == ""
    next_command(director)
    assert director.present == BEFORE


def test_a_sweep_that_keeps_them_gives_back_what_it_found_and_the_debt_stays_one() -> None:
    director = Director()
    killed_sweep(director, 10)
    said = Said()

    async def sweep() -> None:
        async with TimeoutsChange([director.client], said, left="keep") as change:
            assert change.before["bal01"].tcpfin_s == 10
            await change.set_tcpfin(30)
            assert director.present.tcpfin_s == 30

    asyncio.run(sweep())
    assert "without putting its timeouts 900 120 300 back; kept for now" in said[0]
    assert director.present.tcpfin_s == 10
    next_command(director)
    assert director.present == BEFORE
    assert not journal.are_any()


def test_a_sweep_that_keeps_them_and_is_killed_leaves_the_older_debt() -> None:
    director = Director()
    killed_sweep(director, 10)
    killed_sweep(director, 30, left="keep")
    assert director.present.tcpfin_s == 30
    next_command(director)
    assert director.present == BEFORE


def test_another_director_is_not_given_what_the_first_is_owed() -> None:
    killed_sweep(Director(), 10)
    other = Director("ssh://bal02", Timeouts(tcpfin_s=10))
    assert next_command(other) == ""
    assert other.present.tcpfin_s == 10


def test_what_somebody_else_has_set_meanwhile_stays_and_is_said() -> None:
    director = Director()
    killed_sweep(director, 10)
    director.present = replace(director.present, tcpfin_s=45, tcp_s=600)
    said = next_command(director)
    assert "tcpfin 45 s was set by somebody else meanwhile (120 s before us) and stays" in said
    assert director.present == Timeouts(tcp_s=600, tcpfin_s=45, udp_s=300)
    assert next_command(director) == ""


def test_a_sweep_stops_when_somebody_else_sets_a_value_and_leaves_it() -> None:
    director = Director()

    async def sweep() -> None:
        async with TimeoutsChange([director.client], Said()) as change:
            await change.set_tcpfin(10)
            director.present = replace(director.present, tcpfin_s=45)
            await change.set_tcpfin(30)

    with pytest.raises(RunFailed, match="somebody else changed them"):
        asyncio.run(sweep())
    assert director.present.tcpfin_s == 45
    assert not journal.are_any()


def test_two_sweeps_on_one_director_refuse_and_a_burst_meanwhile_touches_nothing() -> None:
    director = Director()
    said = Said()

    async def sweep() -> None:
        async with TimeoutsChange([director.client], Said()) as change:
            await change.set_tcpfin(10)
            with pytest.raises(UsageProblem, match="at this moment; nothing was changed"):
                await TimeoutsChange([director.client], Said()).__aenter__()
            await put_back_left(director.client, said)
            assert director.present.tcpfin_s == 10

    asyncio.run(sweep())
    assert "a sweep is changing its timeouts at this moment" in said.text


def test_a_sweep_first_puts_back_what_the_last_one_left() -> None:
    director = Director()
    killed_sweep(director, 10)
    killed_sweep(director, 30)
    next_command(director)
    assert director.present == BEFORE


def test_a_lost_link_is_tried_again_until_it_answers() -> None:
    director, said = Director(), Said()

    async def sweep() -> None:
        async with TimeoutsChange([director.client], said) as change:
            await change.set_tcpfin(10)
            director.refusals = 3

    asyncio.run(sweep())
    assert director.present == BEFORE
    assert said.text.count("no route to host") == 3


def test_a_link_that_stays_lost_ends_with_the_command_to_run_and_a_debt() -> None:
    director, said = Director(), Said()

    async def sweep() -> TimeoutsChange:
        async with TimeoutsChange([director.client], said, retry_for_s=0.05) as change:
            await change.set_tcpfin(10)
            director.refusals = 10**9
        return change

    change = asyncio.run(sweep())
    assert change.not_restored == [said[-1]]
    assert "DOES NOT HAVE ITS OLD TIMEOUTS 900 120 300 BACK" in said[-1]
    assert "ssh -T" in said[-1]
    assert "root@bal01 'ipvsadm --set 0 120 0'" in said[-1]
    director.refusals = 0
    next_command(director)
    assert director.present == BEFORE


def test_giving_up_ends_the_wait_for_a_lost_link() -> None:
    director, said = Director(), Said()

    async def sweep() -> None:
        async with TimeoutsChange([director.client], said) as change:
            await change.set_tcpfin(10)
            director.refusals = 10**9
            change.give_up()

    asyncio.run(asyncio.wait_for(sweep(), LIMIT_S))
    assert "DOES NOT HAVE" in said.text


def test_a_director_that_refuses_is_said_with_its_own_words() -> None:
    director = Director()
    director.deaf = "Permission denied (you must be root)"

    async def sweep() -> None:
        async with TimeoutsChange([director.client], Said()) as change:
            await change.set_tcpfin(10)

    with pytest.raises(TimeoutsRefused, match="had no effect: Permission denied"):
        asyncio.run(sweep())
    assert not journal.are_any()


def test_a_spoilt_journal_is_said_by_a_burst_and_stops_a_sweep() -> None:
    director = Director()
    killed_sweep(director, 10)
    journal.path_of(director.identity).write_bytes(b"{")
    assert "its content is not one" in next_command(director)
    with pytest.raises(UsageProblem, match="its content is not one"):
        asyncio.run(TimeoutsChange([director.client], Said()).__aenter__())
    assert director.present.tcpfin_s == 10


@pytest.mark.parametrize(
    ("spec", "line"),
    [
        ("local", "ipvsadm --set 0 120 0"),
        ("exec:ip netns exec bal01", "ip netns exec bal01 ipvsadm --set 0 120 0"),
    ],
)
def test_the_line_for_the_operator_fits_the_link(spec: str, line: str) -> None:
    director = Director(spec)
    killed_sweep(director, 10)
    owed = journal.read(director.identity)
    assert owed is not None
    assert owed.by_hand == line


SECONDS = st.sampled_from([10.0, 30.0, 45.0, 120.0])
THREE = st.builds(Timeouts, tcp_s=SECONDS, tcpfin_s=SECONDS, udp_s=SECONDS)


@given(before=THREE, ours=st.lists(THREE, max_size=2), present=THREE)
def test_only_what_is_ours_is_put_back_and_only_to_what_it_was(
    before: Timeouts, ours: list[Timeouts], present: Timeouts
) -> None:
    owed = journal.Owed(
        director="", identity="", before=before, ours=tuple(ours), since="", by_hand=""
    )
    what = due(owed, present)
    for name in ("tcp", "tcpfin", "udp"):
        now_s, before_s = getattr(present, f"{name}_s"), getattr(before, f"{name}_s")
        put_s = getattr(what.set_to, f"{name}_s") if what.set_to else 0
        is_ours = now_s in {getattr(one, f"{name}_s") for one in ours}
        assert put_s == (before_s if is_ours and now_s != before_s else 0)
        assert (name in what.strange) == (now_s != before_s and not is_ours)
