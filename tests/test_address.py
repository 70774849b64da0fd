"""Addresses are shown without their secrets, wherever these stand in them."""

from __future__ import annotations

import logging
import random
from collections.abc import Iterator
from urllib.parse import quote

import pytest

from tests.command_line import Run
from vsr.address import redact, shown
from vsr.live.monitor.log_filter import redacting

SCHEMES = ("rtmp", "rtmps", "RTMP", "srt", "udp", "tcp", "http", "https", "rtmpe", "rtsp", "tls")
HOSTS = ("host.example", "host.example:1935", "127.0.0.1", "[::1]:8080", "höst.example")
PLACES = (
    "{}",
    "{}/",
    "app/{}",
    "app/{}/",
    "app//{}",
    "app/{}/low",
    "{}/index.m3u8",
    "live/{}.m3u8",
    "live/{}/0/index.m3u8",
    "app/stream?key={}",
    "app/stream?a=1&key={}&b=2",
    "app?{}",
    "?passphrase={}&mode=caller",
    "?streamid=#!::r=cam,m=publish,token={}",
    "app/x#{}",
    "app/x;jsessionid={}",
    "app playpath={} live=1",
    "app/@{}/x",
    "app\\{}",
)
ACCOUNTS = (
    "",
    "user:pass@",
    "{}@",
    "{}:word@",
    "name:{}@",
    "name:a/{}@",
    "name:a?{}@",
    "name:a@{}@",
)
FRAMES = ("{}", " {}", "{} ", "\t{}", "x {}", "'{}'", "{}\n")
SLIPS = ("{}", "{}", "{}", "://:/", ":///", "://rtmp://")


def addresses(number: int) -> Iterator[tuple[str, str]]:
    """Addresses of every form, and the secret of each."""
    draw = random.Random(16)
    for i in range(number):
        secret = "".join(draw.choices("kqzjxw_-~+4789", k=draw.randint(8, 20))).strip("-~+")
        written = draw.choice((secret, quote(secret, safe="")))
        account, place = draw.choice(ACCOUNTS), PLACES[i % len(PLACES)]
        slash = "" if place.startswith("?") else "/"
        address = f"{draw.choice(SCHEMES)}://{account}{draw.choice(HOSTS)}{slash}{place}"
        slip = draw.choice(SLIPS)
        if slip != "{}":
            address = address.replace("://", slip, 1)
        yield draw.choice(FRAMES).format(address.replace("{}", written)), secret


def assert_hidden(text: str, secret: str, address: str) -> None:
    for form in {secret, quote(secret, safe="")}:
        assert form not in text, f"{form} of {address!r} is in {text!r}"


def test_no_part_of_an_address_but_scheme_host_and_port_is_shown() -> None:
    for address, secret in addresses(2000):
        assert_hidden(shown(address), secret, address)


def test_messages_of_libraries_lose_the_secrets_of_addresses() -> None:
    for address, secret in addresses(400):
        for said in (
            f"Error opening {address}: refused",
            f"{address!r} cannot be opened",
            f"[rtmp] stream '{secret}' not found (key={secret})",
            f"HTTP 404 for /live/{quote(secret, safe='')}/index.m3u8",
        ):
            assert_hidden(redact(said, address), secret, address)


def test_an_address_in_a_message_is_shortened_though_nobody_knows_it() -> None:
    said = (
        "Opening 'https://other.example/live/k3y/7.ts' for reading; see rtmp://a.example/app/k3y."
    )
    assert redact(said) == "Opening 'https://other.example/…' for reading; see rtmp://a.example/…."


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("rtmp://host.example:1935/app/secret", "rtmp://host.example:1935/…"),
        ("rtmp://user:pass@host.example/app/secret?a=b", "rtmp://host.example/…"),
        ("srt://host.example:9000?streamid=secret", "srt://host.example:9000/…"),
        ("udp://127.0.0.1:5000", "udp://127.0.0.1:5000"),
        ("http://[::1]:8080/live/secret/index.m3u8", "http://[::1]:8080/…"),
        ("http://127.0.0.1:9100/", "http://127.0.0.1:9100/"),
        ("rtmp://[::1/app/secret", "rtmp://…"),
        ("rtmp:///app/secret", "rtmp://app/…"),
        ("folder/secret.mkv", "folder/secret.mkv"),
        ("file:folder/secret.mkv", "file:folder/secret.mkv"),
        ("file:///folder/secret.mkv", "file:///folder/secret.mkv"),
    ],
)
def test_an_address_is_shown_without_secrets(address: str, expected: str) -> None:
    assert shown(address) == expected


def test_a_message_keeps_what_is_no_secret() -> None:
    address = "rtmp://user:hunter2@host.example/app/s3cret?token=abc"
    said = f"Error opening {address}: stream s3cret (token=abc, abc, hunter2) refused by host"
    assert redact(said, address) == (
        "Error opening rtmp://host.example/…: stream … (…, …, …) refused by host"
    )


def test_redacted_text_is_unchanged_by_a_second_pass() -> None:
    for address, secret in addresses(200):
        said = redact(f"'{shown(address)}' cannot be opened", address)
        assert said == f"'{shown(address)}' cannot be opened"
        assert redact(said) == said, secret
    assert redact("give rtmp://, srt:// or a file") == "give rtmp://, srt:// or a file"


def test_log_lines_and_tracebacks_are_redacted(caplog: pytest.LogCaptureFixture) -> None:
    logging.getLogger().addHandler(caplog.handler)
    with redacting():
        try:
            raise ValueError("rtmp://host.example/app/s3cret")
        except ValueError:
            logging.getLogger("vsr.live").exception("%s ended", "rtmp://host.example/app/s3cret")
    logging.getLogger().removeHandler(caplog.handler)
    assert "rtmp://host.example/… ended" in caplog.text
    assert "s3cret" not in caplog.text


@pytest.mark.parametrize(
    "words",
    [
        ["live", " rtmp://127.0.0.1:9/app/s3cret", "out.mkv"],
        ["live", "rtmp://127.0.0.1:9/app/s3cret/", "out.mkv", "--retries", "0"],
        ["live", "tcp://127.0.0.1:9/s3cret/low", "out.mkv", "--retries", "0"],
        ["live", "srt://127.0.0.1:9?passphrase=s3cret_s3cret&mode=teacup", "out.mkv"],
        ["live", "missing.mp4", "htp://127.0.0.1:9/s3cret/low"],
        ["live", "missing.mp4", "out.mkv", "rtmp://127.0.0.1:9/app/s3cret"],
        ["restore", "rtmp://127.0.0.1:9/app/s3cret", "out.mkv"],
        ["restore", "http://127.0.0.1:9/s3cret/index.m3u8", "out.mkv"],
        ["restore", "missing.mp4", "rtmp:/127.0.0.1:9/app/s3cret/low"],
        ["info", "http://127.0.0.1:9/s3cret/index.m3u8"],
    ],
)
def test_no_command_shows_a_secret(words: list[str], vsr: Run) -> None:
    retries = ["--retries", "0"] if words[0] == "live" and "--retries" not in words else []
    done = vsr(*words, *retries)
    assert done.code in {1, 2}
    assert done.err
    assert "s3cret" not in done.out + done.err
