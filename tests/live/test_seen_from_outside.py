"""The status line, the figures over HTTP, and the page in a browser."""

from __future__ import annotations

import json
import socket
import struct
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import ProxyHandler, Request, build_opener

import pytest
import torch
from prometheus_client.parser import text_string_to_metric_families

from tests.live.browser import Browser, find_browser
from tests.live.harness import PATIENCE_S, asked, running, until
from tests.media import numbered_frames
from vsr.errors import ConfigurationError, OpenError
from vsr.live.monitor.bounded_server import MOST_CLIENTS
from vsr.live.monitor.figures import Figures, SinkFigures
from vsr.live.monitor.http import serve_status
from vsr.live.monitor.status_line import sentence
from vsr.live.monitor.watchdog import watchdog

open_url = build_opener(ProxyHandler({})).open


@pytest.fixture
def figures() -> Figures:
    """Of a stream that has restored three frames, one of them late."""
    one = Figures(name="yard", state="running", sizes="96x72 to 192x144")
    one.sinks = [
        SinkFigures(role=role, name=f"rtmp://{role}.example/…", state="open")
        for role in ("target", "record")
    ]
    one.tally.frames_in, one.tally.restored, one.tally.reconnects = 3, 3, 1
    for latency_s in (0.25, 0.35, 2.5):
        one.note_emitted(latency_s, 0.8)
        one.tally.frames_out += 1
    one.before = numbered_frames([5])[0]
    one.after = torch.nn.functional.interpolate(numbered_frames([6]), scale_factor=2.0)[0]
    return one


@pytest.fixture
def address(figures: Figures) -> Iterator[str]:
    with serve_status("0", [figures]) as where:
        yield where


@pytest.fixture
def browser(tmp_path: Path) -> Iterator[Browser]:
    program = find_browser()
    if program is None:
        pytest.skip("no Chromium on this machine; apt-get install chromium")
    with Browser(program, tmp_path / "profile") as running_browser:
        yield running_browser


def status_of(address: str, **headers: str) -> int:
    try:
        with open_url(Request(address, headers=headers)) as answer:
            return int(answer.status)
    except HTTPError as error:
        return error.code


def text_of(address: str) -> str:
    with open_url(address) as answer:
        read: bytes = answer.read()
    return read.decode()


def samples(address: str) -> dict[tuple[str, str], float]:
    """Values by name and by the label that is not the stream's."""
    found = {}
    for family in text_string_to_metric_families(text_of(f"{address}metrics")):
        for sample in family.samples:
            labels = [v for k, v in sample.labels.items() if k != "stream"]
            found[sample.name, "".join(labels)] = sample.value
    return found


@pytest.mark.parametrize(
    "path", ["", "livez", "readyz", "metrics", "figures.json", "output.jpg?stream=yard"]
)
def test_head_answers_as_get_does_without_the_body(path: str, address: str) -> None:
    answers = []
    for method in ("GET", "HEAD"):
        with open_url(Request(f"{address}{path}", method=method)) as answer:
            answers.append((answer.status, answer.headers["Content-Type"], answer.read()))
    (status, kind, body), head = answers
    assert body
    assert head == (status, kind, b"")


def test_head_of_what_does_not_exist_is_404(address: str) -> None:
    with pytest.raises(HTTPError, match="404"):
        open_url(Request(f"{address}nope", method="HEAD"))


def test_prometheus_reads_every_figure(address: str) -> None:
    found = samples(address)
    for name, value in {
        "vsr_frames_in_total": 3,
        "vsr_frames_out_total": 3,
        "vsr_restored_total": 3,
        "vsr_passed_through_total": 0,
        "vsr_late_total": 1,
        "vsr_reconnects_total": 1,
        "vsr_running": 1,
        "vsr_latency_seconds_count": 3,
    }.items():
        assert found[name, ""] == value, name
    assert found["vsr_latency_seconds_bucket", "0.3"] == 1
    assert found["vsr_latency_seconds_bucket", "0.8"] == 2
    assert found["vsr_latency_seconds_bucket", "+Inf"] == 3
    assert found["vsr_latency_seconds_sum", ""] == pytest.approx(3.1)
    assert ("vsr_queue_depth", "source") in found
    assert found["process_resident_memory_bytes", ""] > 1e6


def test_health_is_what_the_streams_are(address: str, figures: Figures) -> None:
    for state, live, ready in (
        ("connecting", 200, 503),
        ("running", 200, 200),
        ("away", 200, 503),
        ("failed", 503, 503),
    ):
        figures.state = state
        assert (status_of(f"{address}livez"), status_of(f"{address}readyz")) == (live, ready), state


def test_health_is_what_the_sinks_are(address: str, figures: Figures) -> None:
    target, record = figures.sinks
    for state, live, ready in (
        ("waiting", 200, 503),
        ("open", 200, 200),
        ("missing", 200, 503),
        ("given up", 503, 503),
    ):
        record.state = state
        assert (status_of(f"{address}livez"), status_of(f"{address}readyz")) == (live, ready), state
        assert samples(address)["vsr_sink_open", "record"] == (state == "open")
    target.state = record.state = "open"
    assert json.loads(text_of(f"{address}readyz")) == {
        "yard": {"state": "running", "sinks": {"target": "open", "record": "open"}}
    }


def test_a_stream_whose_thread_does_nothing_is_not_live(address: str, figures: Figures) -> None:
    figures.seen_at -= 61
    assert (status_of(f"{address}livez"), status_of(f"{address}readyz")) == (503, 503)


def test_pictures_are_served_and_unknown_things_are_not(address: str) -> None:
    with open_url(f"{address}output.jpg?stream=yard") as answer:
        assert answer.headers["Content-Type"] == "image/jpeg"
    for nothing in ("input.jpg?stream=other", "secret", "../page.html"):
        with pytest.raises(HTTPError, match="404"):
            open_url(address + nothing)


def test_a_port_alone_is_of_the_loopback(address: str) -> None:
    assert address.startswith("http://127.0.0.1:")


def test_a_page_from_elsewhere_gets_no_pictures_by_a_name_of_its_own(
    figures: Figures, address: str
) -> None:
    """DNS rebinding: a browser then asks the loopback in the name of a stranger."""
    picture = f"{address}output.jpg?stream=yard"
    for host in ("127.0.0.1:9100", "localhost", "[::1]:9100"):
        assert status_of(picture, Host=host) == 200
    for host in ("stranger.example:9100", "[", "[::1", "127.0.0.1.example", "@"):
        assert status_of(picture, Host=host) == 403, host


TOKEN = "5bd0c1f3a7e94c02"


@pytest.fixture
def token_file(tmp_path: Path) -> Path:
    file = tmp_path / "token"
    file.write_text(f"{TOKEN}\n")
    return file


def test_beyond_the_loopback_a_token_is_needed_for_all_but_the_probes(
    figures: Figures, token_file: Path
) -> None:
    with serve_status("0.0.0.0:0", [figures], token_file) as open_to_all:
        address = open_to_all.replace("0.0.0.0", "127.0.0.1")
        for path in ("", "metrics", "figures.json", "output.jpg?stream=yard", "nope"):
            assert status_of(address + path) == 403
            assert status_of(address + path, Cookie="vsr_token=wrong") == 403
            assert status_of(address + path, Authorization="Bearer wrong") == 403
        for headers in (
            {"Authorization": f"Bearer {TOKEN}"},
            {"Cookie": f"other=1; vsr_token={TOKEN}"},
        ):
            assert status_of(f"{address}figures.json", **headers) == 200
        with open_url(f"{address}?token={TOKEN}") as page:
            assert f"vsr_token={TOKEN}; HttpOnly" in page.headers["Set-Cookie"]
        assert json.loads(text_of(f"{address}readyz")) == {}
        assert TOKEN not in text_of(f"{address}figures.json?token={TOKEN}")


@pytest.mark.parametrize(
    ("written", "said"), [(None, "give --status-token FILE"), ("short", "is not 16 or more")]
)
def test_an_address_of_all_is_refused_without_a_good_token(
    written: str | None, said: str, figures: Figures, tmp_path: Path
) -> None:
    file = None
    if written is not None:
        file = tmp_path / "token"
        file.write_text(written)
    with (
        pytest.raises(ConfigurationError, match=said),
        serve_status("0.0.0.0:0", [figures], file),
    ):
        pass


def connect(address: str, said: bytes) -> socket.socket:
    """A client that has begun a request and does not continue."""
    parts = urlsplit(address)
    client = socket.create_connection((parts.hostname, parts.port), timeout=PATIENCE_S)
    client.sendall(said)
    return client


def num_files() -> int:
    """Of this process, its clients and its server alike."""
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


@pytest.mark.parametrize("said", [b"", b"GET /livez HTTP/1.0\r\nX-"])
def test_slow_clients_keep_nobody_out(said: bytes, address: str, figures: Figures) -> None:
    before = num_files()
    with ExitStack() as clients:
        for _ in range(3 * MOST_CLIENTS):
            clients.enter_context(connect(address, said))
        assert status_of(f"{address}livez") == 200
        until(
            lambda: num_files() <= before + 4 * MOST_CLIENTS + 1,
            "no more than the bounded number of connections is open",
        )


def test_a_client_that_dawdles_is_ended_whatever_it_sends(
    address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vsr.live.monitor.bounded_server.REQUEST_TIMEOUT_S", 0.3)
    with connect(address, b"GET /livez HTTP/1.0\r\n") as client:

        def is_ended() -> bool:
            try:
                client.sendall(b"X: y\r\n")
                client.setblocking(False)
                return client.recv(1) == b""
            except BlockingIOError:
                return False
            except OSError:
                return True
            finally:
                client.setblocking(True)

        until(is_ended, "the server ends the connection")
    assert status_of(f"{address}livez") == 200


def test_aborted_requests_leave_no_traceback(
    address: str, capfd: pytest.CaptureFixture[str]
) -> None:
    reset = struct.pack("ii", 1, 0)
    for said in (
        b"GET /output.jpg?stream=yard HTTP/1.0\r\n\r\n",
        b"GE",
        b"\0" * 9,
        b"[ [ [\r\n\r\n",
    ):
        with connect(address, said) as client:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, reset)
    for said in (b"GET http://[ HTTP/1.0\r\n\r\n", b"GET //[/livez HTTP/1.0\r\nHost: [\r\n\r\n"):
        with connect(address, said) as client:
            assert client.recv(100).startswith(b"HTTP/1.1 40")
    assert status_of(f"{address}livez") == 200
    assert capfd.readouterr().err == ""


def test_figures_are_served_over_ipv6_too(figures: Figures) -> None:
    try:
        with serve_status("[::1]:0", [figures]) as where:
            assert where.startswith("http://[::1]:")
            assert "vsr_restored_total" in text_of(f"{where}metrics")
    except OpenError:
        pytest.skip("no IPv6 on this machine")


def test_a_port_that_is_taken_or_none_is_an_error(figures: Figures) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        where = f"127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(OpenError, match="give another"), serve_status(where, [figures]):
            pass
    with pytest.raises(ConfigurationError, match="no port"), serve_status("here", [figures]):
        pass


def test_a_service_manager_hears_of_the_beginning_and_while_nothing_hangs(
    figures: Figures, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.settimeout(PATIENCE_S)
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        monkeypatch.setenv("WATCHDOG_USEC", "20000")
        with watchdog([figures]):
            assert manager.recv(100) == b"READY=1"
            assert manager.recv(100) == b"WATCHDOG=1"
            figures.seen_at -= 61
        heard = iter(lambda: manager.recv(100), b"STOPPING=1")
        assert set(heard) <= {b"WATCHDOG=1"}


def test_one_line_says_what_matters(figures: Figures) -> None:
    line = sentence(figures)
    assert "\n" not in line
    for part in ("yard: running", "3 restored", "1 late", "1 reconnects", "350 ms"):
        assert part in line
    assert "held" not in line


LOOK = """({
  images: [...document.images].map(i => ({
    alt: i.alt, width: i.naturalWidth, left: i.getBoundingClientRect().left, source: i.src,
  })),
  counts: Object.fromEntries(
    [...document.querySelectorAll("dd")].map(d => [d.dataset.key, d.textContent])),
  text: document.body?.innerText ?? "",
  scrolls: document.documentElement?.scrollWidth > innerWidth,
})"""


def test_a_browser_shows_input_and_output_side_by_side_and_new_ones_as_they_come(
    long_clip: Path, tmp_path: Path, browser: Browser
) -> None:
    with (
        running(asked(long_clip, tmp_path / "out.mkv")) as stream,
        serve_status("127.0.0.1:0", [stream.figures]) as address,
    ):
        browser.open(address)
        seen = [browser.evaluate(LOOK)]

        def looked(ready: Callable[[dict[str, Any]], bool]) -> bool:
            seen.append(browser.evaluate(LOOK))
            return ready(seen[-1])

        until(
            lambda: looked(lambda page: [i["width"] for i in page["images"]] == [96, 192]),
            "both pictures are there",
        )
        first = seen[-1]
        until(
            lambda: looked(
                lambda page: (
                    int(page["counts"]["restored"]) > int(first["counts"]["restored"])
                    and page["images"][1]["source"] != first["images"][1]["source"]
                )
            ),
            "the page goes on by itself",
        )
    assert [image["alt"] for image in first["images"]] == ["input of live", "output of live"]
    left, right = (image["left"] for image in first["images"])
    assert left < right
    assert not first["scrolls"]
    for part in ("running", "96x72 to 192x144", "passed through", "latency, ms", "full"):
        assert part in first["text"], part


def test_a_browser_says_so_when_the_program_has_ended(figures: Figures, browser: Browser) -> None:
    with serve_status("0", [figures]) as address:
        browser.open(address)
        until(lambda: "yard" in browser.evaluate(LOOK)["text"], "the stream is shown")
    until(lambda: "not reached" in browser.evaluate(LOOK)["text"], "the end is noticed")
