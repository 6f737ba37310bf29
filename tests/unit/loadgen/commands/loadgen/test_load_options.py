"""The flags of a load."""

from __future__ import annotations

import pytest

from loadgen.commands.loadgen.load_options import without_credentials


@pytest.mark.parametrize(
    ("word", "kept"),
    [
        ("Authorization: Bearer s3cret", "Authorization: (not recorded)"),
        ("-Hcookie:s3cret", "-Hcookie: (not recorded)"),
        ("--header=Proxy-Authorization: s3cret\nx", "--header=Proxy-Authorization: (not recorded)"),
        ("X-Authorization-Kind: none", "X-Authorization-Kind: none"),
        ("/cookie:path", "/cookie:path"),
    ],
)
def test_a_command_line_is_kept_without_credentials(word: str, kept: str) -> None:
    assert without_credentials(["-H", word]) == ["-H", kept]
