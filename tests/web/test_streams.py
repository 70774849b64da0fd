"""Live streams that are started from the page are real processes of ``vsr live``."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import pytest

from tests.web.conftest import Served, free_port, until
from vsr.streams import open_reader

pytestmark = pytest.mark.slow

STREAM = {"name": "yard", "target": "", "options": {"model": "bicubic-x2"}}


def streams(served: Served) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = served.ask("/api/streams").json["streams"]
    return found


def start(served: Served, **more: object) -> dict[str, Any]:
    """Start a stream whose source is a film."""
    film = served.films()["first.mp4"]["id"]
    made: dict[str, Any] = served.post("/api/streams", {**STREAM, "film": film, **more}).json
    return made


def test_a_film_is_sent_through_vsr_live_into_a_file(served: Served) -> None:
    made = start(served)
    assert (made["source"], made["target"]) == ("first.mp4", "yard.mkv")
    until(lambda: streams(served)[0]["state"] == "ended")
    with open_reader(served.folder / "restored/yard.mkv") as reader:
        assert (reader.info.width, reader.info.height) == (192, 144)
    assert served.ask(f"/api/streams/{made['id']}", "DELETE").status == 204
    assert streams(served) == []


def test_a_stream_is_watched_and_stopped_and_its_address_is_not_shown(served: Served) -> None:
    source = f"rtmp://127.0.0.1:{free_port()}/app/secretkey"
    made = served.post("/api/streams", {**STREAM, "source": source, "listen": True}).json
    until(lambda: streams(served)[0]["figures"] or streams(served)[0]["state"] != "running")
    shown = streams(served)[0]
    assert shown["state"] == "running", shown["message"]
    assert shown["figures"]["state"] == "connecting"
    assert "vsr_running" in served.ask(f"/api/streams/{made['id']}/metrics").body.decode()
    assert served.ask(f"/api/streams/{made['id']}/input").status == 204
    assert b"secretkey" not in served.ask("/api/streams").body
    assert served.ask(f"/api/streams/{made['id']}", "DELETE").status == 409
    assert served.post(f"/api/streams/{made['id']}/stop").status == 200
    until(lambda: streams(served)[0]["state"] != "running")


@pytest.mark.parametrize(
    "more",
    [
        {"source": "/etc/passwd"},
        {"source": "file:///etc/passwd"},
        {"source": "concat://a"},
        {"source": "rtmp://h/a\nb"},
        {"source": "udp://127.0.0.1:1", "target": "/tmp/x.mkv"},
        {"source": "udp://127.0.0.1:1", "target": "http://127.0.0.1/x"},
        {"source": "udp://127.0.0.1:1", "name": "../up"},
        {"source": "udp://127.0.0.1:1", "latency_ms": -1},
        {"source": "udp://127.0.0.1:1", "encoder": "x"},
        {"source": "udp://127.0.0.1:1", "words": ["--overwrite"]},
        {"film": "../../etc/passwd"},
        {},
    ],
    ids=str,
)
def test_options_that_the_page_does_not_offer_are_refused(
    served: Served, more: dict[str, Any]
) -> None:
    answer = served.post("/api/streams", {**STREAM, **more})
    assert answer.status in {400, 404, 422}
    assert answer.json["error"]
    assert streams(served) == []


def test_a_killed_stream_says_so_and_starts_again(served: Served) -> None:
    source = f"rtmp://127.0.0.1:{free_port()}/app/key"
    made = served.post("/api/streams", {**STREAM, "source": source, "listen": True}).json
    until(lambda: streams(served)[0]["figures"])
    os.kill(_pid(served.folder, made["id"]), signal.SIGKILL)
    until(lambda: streams(served)[0]["state"] == "failed")
    assert served.post(f"/api/streams/{made['id']}/start").status == 200
    until(lambda: streams(served)[0]["figures"])
    served.post(f"/api/streams/{made['id']}/stop")
    until(lambda: streams(served)[0]["state"] != "running")


def _pid(folder: Path, stream: str) -> int:
    lock = folder / "restored/.vsr-web/streams" / stream / "lock"
    for process in Path("/proc").glob("[0-9]*"):
        try:
            words = (process / "cmdline").read_bytes()
        except OSError:
            continue
        if b"vsr\0live" in words and str(lock.parent).encode() in words:
            return int(process.name)
    raise AssertionError("the process is gone")
