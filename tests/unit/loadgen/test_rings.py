"""Packet rings on a wire of our own: what goes in at one end comes out at the other."""

from __future__ import annotations

import struct
import subprocess
import time

import numpy as np
import pytest

from loadgen.rings.blocks import FrameBlock, Ints, ReceiveRing, UInt8s
from loadgen.rings.packet_socket import hardware_type
from loadgen.rings.slots import SLOT_HEADER_BYTES, SendRing
from tests.unit.loadgen.wire import arp, needs_root, on_a_wire, send, tcp
from tests.unit.waiting import LIMIT_S, wait_until

pytestmark = needs_root

ETHERTYPE = b"\x88\xb5"  # for experiments (IEEE 802)
KEEP_EXPERIMENTS = b"".join(  # and 64 bytes of each; linux/filter.h
    struct.pack("=HBBI", *each)
    for each in ((0x28, 0, 0, 12), (0x15, 0, 1, 0x88B5), (6, 0, 0, 64), (6, 0, 0, 0))
)
FRAMES = 50_000


def numbered(count: int, length: int = 60) -> UInt8s:
    """Frames that say which they are."""
    frames = np.zeros((count, length), dtype=np.uint8)
    frames[:, :6] = 255
    frames[:, 12:14] = np.frombuffer(ETHERTYPE, dtype=np.uint8)
    frames[:, 14:18] = np.arange(count, dtype=">u4").view(np.uint8).reshape(-1, 4)
    return frames


def numbers(blocks: list[FrameBlock]) -> list[int]:
    return [int(n) for b in blocks for n in b.frames[:, 14:18].copy().view(">u4").ravel()]


def receive(ring: ReceiveRing, count: int) -> list[FrameBlock]:
    """Blocks until so many frames have come."""
    blocks: list[FrameBlock] = []
    while sum(len(block.at_ns) for block in blocks) < count:
        block = ring.read(LIMIT_S)
        if block is None:
            break
        blocks.append(block)
    return blocks


def test_every_frame_sent_is_received_once_and_in_order() -> None:
    def body() -> tuple[list[FrameBlock], int]:
        receiving = ReceiveRing("vb", program=KEEP_EXPERIMENTS, width=64)
        sending = SendRing("va", slots=1024)
        frames, length = numbered(FRAMES), np.full(FRAMES, 60)
        blocks, sent = [], 0
        while sent < FRAMES:
            sent += sending.send(frames[sent : sent + 5000], length[sent : sent + 5000])
            blocks += receive(receiving, 0)
        while sending.waiting():
            sending.flush()
        blocks += receive(receiving, FRAMES)
        dropped = receiving.dropped()
        sending.close()
        receiving.close()
        return blocks, dropped

    blocks, dropped = on_a_wire(body)
    assert numbers(blocks) == list(range(FRAMES))
    assert dropped == 0
    at_ns = np.concatenate([block.at_ns for block in blocks])
    assert (np.diff(at_ns) >= 0).all()
    assert 0 <= time.time_ns() - int(at_ns[-1]) < 60 * 10**9


def test_frames_of_any_length_keep_theirs_and_are_cut_to_the_rows_width() -> None:
    frames = [tcp(1000 + payload, payload=payload) for payload in range(0, 1400, 7)]

    def body() -> list[FrameBlock]:
        ring = ReceiveRing("vb", width=512)
        send(frames)
        blocks = receive(ring, len(frames))
        ring.close()
        return blocks

    blocks = on_a_wire(body)
    found = [
        (block.frames[row, : block.captured[row]].tobytes(), int(block.length[row]))
        for block in blocks
        for row in range(len(block.at_ns))
    ]
    assert found == [(frame[:512], len(frame)) for frame in frames]


def test_the_program_decides_what_is_kept_and_how_much_of_it() -> None:
    def body() -> list[FrameBlock]:
        ring = ReceiveRing("vb", program=KEEP_EXPERIMENTS, width=160)
        send([arp(), numbered(1, 100)[0].tobytes(), tcp(1)])
        blocks = receive(ring, 1)
        ring.close()
        return blocks

    blocks = on_a_wire(body)
    assert [block.captured.tolist() for block in blocks] == [[64]]
    assert [block.length.tolist() for block in blocks] == [[100]]


def test_a_ring_that_nobody_reads_counts_what_it_drops() -> None:
    def body() -> tuple[int, int, int]:
        ring = ReceiveRing(
            "vb", program=KEEP_EXPERIMENTS, width=64, blocks=2, block_bytes=4096, retire_ms=10
        )
        frames, length = numbered(1000), np.full(1000, 60)
        sending = SendRing("va", slots=1024)
        sending.send(frames, length)
        while sending.waiting():
            sending.flush()
        lost, again = ring.dropped(), ring.dropped()
        kept = sum(len(block.at_ns) for block in receive(ring, 1000 - lost))
        ring.close()
        sending.close()
        return lost, again, kept

    lost, again, kept = on_a_wire(body)
    assert 0 < kept < 1000
    assert (lost, again) == (1000 - kept, 0)


def test_a_vlan_tag_that_the_kernel_took_off_is_reported() -> None:
    def body() -> list[FrameBlock]:
        ring = ReceiveRing("vb", width=160)
        tagged = tcp(1)
        send([tagged[:12] + b"\x81\x00\x00\x2a" + tagged[12:], tcp(2)])
        blocks = receive(ring, 2)
        ring.close()
        return blocks

    blocks = on_a_wire(body)
    assert [tag for block in blocks for tag in block.vlan.tolist()] == [0x8100002A, 0]
    assert blocks[0].frames[0, : blocks[0].captured[0]].tobytes() == tcp(1)


def test_a_send_ring_takes_what_it_has_slots_for_and_lengths_of_their_own() -> None:
    frames: UInt8s = numbered(100, 200)
    length: Ints = np.arange(60, 160)

    def body() -> tuple[int, list[FrameBlock]]:
        receiving = ReceiveRing("vb", program=b"", width=256)
        sending = SendRing("va", slots=64)
        assert sending.width == 256 - SLOT_HEADER_BYTES
        taken = sending.send(frames, length)
        while sending.waiting():
            sending.flush()
        taken += sending.send(frames[taken:], length[taken:])
        blocks = receive(receiving, 100)
        receiving.close()
        sending.close()
        return taken, blocks

    taken, blocks = on_a_wire(body)
    assert taken == 100
    assert numbers(blocks) == list(range(100))
    assert [n for block in blocks for n in block.length.tolist()] == length.tolist()


def test_a_frame_that_the_kernel_refuses_is_skipped_and_its_slot_is_free_again() -> None:
    def body() -> tuple[bool, list[FrameBlock]]:
        receiving = ReceiveRing("vb", program=KEEP_EXPERIMENTS, width=64)
        sending = SendRing("va", slots=16)
        sending.send(numbered(3), np.array([60, 5, 60]))  # 5: no whole link header
        is_free = wait_until(lambda: sending.waiting() == 0)
        blocks = receive(receiving, 2)
        receiving.close()
        sending.close()
        return is_free, blocks

    is_free, blocks = on_a_wire(body)
    assert is_free
    assert numbers(blocks) == [0, 2]


def test_an_interface_that_went_down_is_an_error_once_and_a_silence_after() -> None:
    def body() -> None:
        ring = ReceiveRing("vb", width=64)
        subprocess.run(["ip", "link", "set", "vb", "down"], check=True)
        with pytest.raises(OSError, match="ENETDOWN"):
            receive(ring, 1)
        assert ring.read(0.01) is None
        subprocess.run(["ip", "link", "set", "vb", "up"], check=True)
        send([tcp(1)])
        assert receive(ring, 1)
        ring.close()

    on_a_wire(body)


def test_an_interface_that_is_not_there_leaves_no_socket_behind() -> None:
    for ring in (lambda: ReceiveRing("nowhere0", width=64), lambda: SendRing("nowhere0")):
        with pytest.raises(OSError, match=r"no interface|No such device"):
            ring()


def test_the_kind_of_an_interface_is_asked_where_the_caller_stands() -> None:
    assert on_a_wire(lambda: hardware_type("va")) == 1
    assert hardware_type("lo") == 772
    with pytest.raises(OSError, match="No such device"):
        hardware_type("va")
