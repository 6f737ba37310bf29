"""Memory-mapped packet rings: frames by the thousand, in and out, without a system call for each.

An AF_PACKET socket (packet(7)) can share a ring of memory with the kernel (packet_mmap in the
kernel's documentation; the layouts are include/uapi/linux/if_packet.h, the code is
net/packet/af_packet.c). Three rings stand here:

- ``blocks.ReceiveRing`` (TPACKET_V3): the kernel fills blocks of a megabyte with frames one behind
  another and hands over a block when it is full, or some time after its first frame.
- ``slots.PromptRing`` (TPACKET_V2): slots of one size; a frame can be read as soon as it has come.
- ``slots.SendRing`` (TPACKET_V2): slots of one size; one system call sends all that were filled.

Frames travel as numpy arrays of shape (n, width), a row a frame, so that a field is a column:
``block.frames[:, 12:14]`` is the EtherType of every frame.
"""
