"""Text of others made fit to show."""

import pytest

from u1core.common.errors import U1Error
from u1core.common.text import harmless, masked, printable


@pytest.mark.parametrize(
    "text", ["\x1b[2J", "\x1b]8;;x\x07", "\u202etxt", "\u2066x\u2069", "a\rb", "\x00", "\x9b2J", "\ud800"]
)
def test_what_steers_a_terminal_is_escaped(text):
    assert all(c.isprintable() for c in printable(text))
    assert printable(text).startswith(("\\", "a\\"))


def test_what_can_be_read_stays():
    for text in ("cat", "鳥", "می\u200cخواهم", "1\u202f000", "C:\\x", "<b>"):
        assert printable(text) == text
    assert printable("a\nb", keep="\n") == "a\nb"


@pytest.mark.parametrize(
    "text",
    [
        "postgresql+asyncpg://me:hunter22@db/prefect",
        "http://me:p@hunter22@proxy:3128",
        "https://hunter22@git.example.org/x",
        "s3://AKIA:hunt/hunter22@bucket/lake",
        "s3://bucket/lake?secret_key=hunter22&region=x",
        "the key MY-hunter22 is not valid",
    ],
)
def test_no_message_tells_a_password(text, monkeypatch):
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "MY-hunter22")
    assert "hunter22" not in masked(text)
    assert "***" in masked(text)
    assert "hunter22" not in str(U1Error("x", text, "y"))


def test_addresses_without_a_password_stay():
    for text in ("http://127.0.0.1:4200/api", "torchvision:resnet50@V1", "s3://bucket/a@b", "tcp://host:1"):
        assert harmless(text) == text
