"""tcpdump's words, as versions 4.9 and 4.99 print them."""

from __future__ import annotations

import subprocess

import pytest

from loadgen.capture import tcpdump

LISTENING = "tcpdump: listening on eth0, link-type EN10MB (Ethernet), snapshot length 160 bytes\n"
END = "12 packets captured\n15 packets received by filter\n3 packets dropped by kernel\n"
NO_RIGHT = (
    "tcpdump: eth0: You don't have permission to perform this capture on that device\n"
    "(socket: Operation not permitted)\n"
)


@pytest.mark.parametrize(
    ("said", "dropped"),
    [
        (LISTENING + END, 3),
        (END + "4 packets dropped by interface\n", 7),
        (END.replace("3 packets", "1 packet"), 1),
        (END.replace("3 packets", "0 packets"), 0),
        (LISTENING, None),
        ("", None),
    ],
)
def test_the_drops_are_what_it_says_at_its_end(said: str, dropped: int | None) -> None:
    assert tcpdump.dropped(said) == dropped


@pytest.mark.parametrize(
    ("said", "complaint"),
    [
        (LISTENING + END, None),
        ("tcpdump: not found\n", "tcpdump: not found"),
        (NO_RIGHT, NO_RIGHT.splitlines()[0]),
        ("sudo: a password is required\n", "sudo: a password is required"),
        ("\x1b[31mred" + "x" * 400 + "\n", "[31mred" + "x" * 193),
        ("", None),
    ],
)
def test_a_complaint_is_its_last_line_bounded_and_printable(
    said: str, complaint: str | None
) -> None:
    assert tcpdump.complaint(said) == complaint


@pytest.mark.parametrize("interface", [None, "eth0", "$(touch /tmp/x); '"])
def test_the_script_is_one_line_of_shell_that_takes_nothing_for_a_command(
    interface: str | None,
) -> None:
    script = tcpdump.script("host 10.0.0.1 or arp", interface, "10.0.0.2")
    assert script.count("\n") == 1
    done = subprocess.run(["sh", "-n"], input=script, text=True, capture_output=True)
    assert (done.returncode, done.stderr) == (0, "")


def test_the_interface_is_the_one_that_leads_back_to_the_client() -> None:
    find = tcpdump.route("127.0.0.1")
    found = subprocess.run(["sh", "-c", find], text=True, capture_output=True, check=True)
    assert found.stdout == "lo\n"
