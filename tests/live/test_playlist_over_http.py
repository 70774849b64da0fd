"""A playlist that is put to a server over HTTP and HTTPS."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.live.harness import asked, look, running
from tests.live.test_tls import certificate, encrypted
from vsr.errors import VSRError

__all__ = ["certificate"]


@pytest.fixture
def files(tmp_path: Path) -> Iterator[tuple[Path, int]]:
    """A folder that takes what is put to the key, and the port of its server."""
    folder = tmp_path / "site"
    folder.mkdir()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_PUT(self) -> None:
            data = self.rfile.read(int(self.headers["Content-Length"]))
            key, _, name = self.path.strip("/").partition("/")
            if key == "k3y":
                (folder / name.partition("?")[0]).write_bytes(data)
            self.send_response(201 if key == "k3y" else 403)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def do_DELETE(self) -> None:
            (folder / Path(self.path).name).unlink(missing_ok=True)
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield folder, server.server_port
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "127.0.0.1")


def test_a_playlist_is_put_to_a_server(clip: Path, files: tuple[Path, int]) -> None:
    folder, port = files
    with running(asked(clip, f"http://127.0.0.1:{port}/k3y/list.m3u8")) as stream:
        stream.wait()
    assert "#EXT-X-ENDLIST" in (folder / "list.m3u8").read_text()
    assert look(folder / "list.m3u8").numbers == list(range(50))


def test_a_server_without_a_trusted_certificate_gets_no_playlist(
    clip: Path, files: tuple[Path, int], certificate: Path
) -> None:
    folder, port = files
    with encrypted(port, certificate) as outside:
        target = f"https://127.0.0.1:{outside}/k3y/list.m3u8"
        with (
            pytest.raises(VSRError, match="certificate"),
            running(asked(clip, target, retries=0)) as s,
        ):
            s.wait()
        assert not list(folder.iterdir())
        for trusted in ({"ca_file": certificate}, {"insecure": True}):
            with running(asked(clip, target, **trusted)) as stream:
                stream.wait()
            assert look(folder / "list.m3u8").numbers == list(range(50))
            (folder / "list.m3u8").unlink()


def test_a_server_that_refuses_is_a_failure_without_the_key(
    clip: Path, files: tuple[Path, int], caplog: pytest.LogCaptureFixture
) -> None:
    _, port = files
    target = f"http://127.0.0.1:{port}/guess/list.m3u8"
    with (
        pytest.raises(VSRError, match="Forbidden") as caught,
        running(asked(clip, target, retries=0)) as stream,
    ):
        stream.wait()
    assert "guess" not in caplog.text + str(caught.value)
