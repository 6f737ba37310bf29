"""The texts of failures: all that column ``error`` of ``requests/`` may hold.

They are words of this list and numbers, and never what came over the wire. Errors of the libraries
are put into these words where they are caught (``loadgen.load.engines.wording``); a text of an
older recording that is none of them is left out of an anonymous copy.
"""

from __future__ import annotations

import errno
import re
from os import strerror

OTHER = "other"
"""Stands for a text that is not of this list."""

INTERRUPTED = "interrupted"
REFUSED = "connection refused"
RESET = "connection reset by peer"
SHORT_ANSWER = "closed by the server before its answer was whole"
TOO_MANY_REDIRECTS = "too many redirects"
BAD_REDIRECT = "a redirect to something that is no URL"
REQUEST_TOO_LONG = "the request did not fit into the socket's buffer"
UNREADABLE = "an answer that only reading it to its end delimits, in frames longer than we keep"
TIMEOUTS = {
    "connect": "timeout: no connection",
    "tls": "timeout: no TLS",
    "answer": "timeout: no answer",
    "close": "timeout: the server did not close",
}

OF_THE_KERNEL = frozenset(strerror(number).lower() for number in errno.errorcode)
NOT_NUMBERED = "an error without a number"

NOT_HTTP, TLS, CERTIFICATE = "no HTTP/1.1: ", "TLS: ", "certificate: "

HTTP_COMPLAINTS = (
    "Chunk size overflow",
    "Content-Length can't be present with Transfer-Encoding",
    "Content-Length overflow",
    "Data after `Connection: close`",
    "Expected CRLF",
    "Expected CRLF after version",
    "Expected HTTP/",
    "Expected HTTP/, RTSP/ or ICE/",
    "Expected LF after CR",
    "Expected LF after chunk data",
    "Expected LF after chunk size",
    "Expected LF after headers",
    "Expected dot",
    "Expected space after version",
    "Invalid EOF state",
    "Invalid HTTP version",
    "Invalid `Transfer-Encoding` header value",
    "Invalid character in Content-Length",
    "Invalid character in chunk extensions",
    "Invalid character in chunk size",
    "Invalid header field char",
    "Invalid header token",
    "Invalid header value char",
    "Invalid major version",
    "Invalid minor version",
    "Invalid response status",
    "Invalid status code",
    "Invalid word encountered",
    "Missing expected CR after chunk data",
    "Missing expected CR after chunk size",
    "Missing expected CR after header value",
    "Missing expected CR after response line",
    "Missing expected LF after header value",
    "Transfer-Encoding can't be present with Content-Length",
    "Unexpected space after start line",
    "Unexpected whitespace after header value",
)
"""Errors of llhttp about an answer, the parser of both httptools and aiohttp (``llhttp.c``)."""

SWITCHED, NOT_READABLE = "it switches to another protocol", "not readable"
BAD_CHUNKS = "its chunks cannot be read"

TLS_COMPLAINTS = frozenset(
    f"{prefix} alert {alert}"
    for prefix, alerts in {
        "sslv3": "bad certificate, bad record mac, certificate expired, certificate revoked, "
        "certificate unknown, decompression failure, handshake failure, illegal parameter, "
        "no certificate, unexpected message, unsupported certificate",
        "tlsv1": "access denied, decode error, decryption failed, decrypt error, "
        "export restriction, inappropriate fallback, insufficient security, internal error, "
        "no application protocol, no renegotiation, protocol version, record overflow, "
        "unknown ca, unknown psk identity, user cancelled",
        "tlsv13": "certificate required, missing extension",
    }.items()
    for alert in alerts.split(", ")
) | {
    "application data after close notify",
    "bad extension",
    "bad length",
    "bad packet",
    "bad packet length",
    "bad record type",
    "bad signature",
    "ca key too small",
    "ca md too weak",
    "certificate verify failed",
    "data length too long",
    "decryption failed or bad record mac",
    "dh key too small",
    "ee key too small",
    "failed",
    "http request",
    "https proxy request",
    "length mismatch",
    "length too short",
    "no ciphers available",
    "no protocols available",
    "packet length too long",
    "record layer failure",
    "tlsv1 unrecognized name",
    "unexpected eof while reading",
    "unexpected message",
    "unknown protocol",
    "unsafe legacy renegotiation disabled",
    "unsupported protocol",
    "wrong cipher returned",
    "wrong curve",
    "wrong signature type",
    "wrong ssl version",
    "wrong version number",
}
"""Reasons of OpenSSL (``ssl.SSLError.reason`` in lower case) that a client may meet."""

CERTIFICATE_COMPLAINTS = {
    2: "unable to get issuer certificate",
    7: "certificate signature failure",
    9: "certificate is not yet valid",
    10: "certificate has expired",
    18: "self-signed certificate",
    19: "self-signed certificate in certificate chain",
    20: "unable to get local issuer certificate",
    21: "unable to verify the first certificate",
    23: "certificate revoked",
    24: "invalid CA certificate",
    26: "unsuitable certificate purpose",
    62: "hostname mismatch",
    64: "IP address mismatch",
    66: "EE certificate key too weak",
    67: "CA certificate key too weak",
    68: "CA signature digest algorithm too weak",
}
"""Reasons by OpenSSL's number, ``X509_V_ERR_…`` (``ssl.SSLCertVerificationError.verify_code``)."""

_WORDS = frozenset(
    {INTERRUPTED, REFUSED, RESET, SHORT_ANSWER, TOO_MANY_REDIRECTS, BAD_REDIRECT}
    | {REQUEST_TOO_LONG, UNREADABLE, NOT_NUMBERED, OTHER}
    | set(TIMEOUTS.values())
    | OF_THE_KERNEL
    | {f"{TLS}{text}" for text in TLS_COMPLAINTS | OF_THE_KERNEL | {NOT_NUMBERED}}
    | {f"{CERTIFICATE}{text}" for text in CERTIFICATE_COMPLAINTS.values()}
    | {f"{NOT_HTTP}{text}" for text in (*HTTP_COMPLAINTS, SWITCHED, NOT_READABLE, BAD_CHUNKS)}
)
_NUMBERED = re.compile(
    r"HTTP \d{1,3}|certificate: verify code \d{1,5}|"
    r"no HTTP/1\.1: a (?:head|line) of more than \d{1,9} bytes",
    re.ASCII,
)


def known_text(text: str) -> str:
    """The text, if it is of this list; else ``OTHER``."""
    return text if text in _WORDS or _NUMBERED.fullmatch(text) else OTHER


def http_complaint(message: str) -> str:
    """The fixed part of a parser's message, without what it quotes."""
    begins = message.removeprefix("Bad status line:").lstrip()
    known = [words for words in HTTP_COMPLAINTS if begins.startswith(words)]
    return max(known, key=len, default=NOT_READABLE)


def tls_complaint(reason: str | None) -> str:
    """OpenSSL's reason, if it is of this list."""
    words = (reason or "").replace("_", " ").lower()
    return words if words in TLS_COMPLAINTS else "failed"


def certificate_complaint(verify_code: int) -> str:
    """Why a certificate was refused, by OpenSSL's number: its own text quotes a name."""
    return CERTIFICATE_COMPLAINTS.get(verify_code, f"verify code {verify_code}")
