"""Any text that ``ipvsadm`` or ``/proc/net/ip_vs*`` prints, as values.

For people and scripts who have a text and no director: patient, complete, and never an exception.
The poller has ``analyzer.ipvs.proc.formats``, which knows its two texts and is made for speed.
"""

from analyzer.ipvs.ipvsadm.lines import decode
from analyzer.ipvs.ipvsadm.model import ParsedDocument, ParsedText
from analyzer.ipvs.ipvsadm.reader import parse

__all__ = ["ParsedDocument", "ParsedText", "decode", "parse"]
