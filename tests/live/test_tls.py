"""Encrypted sources and sinks: certificates are verified unless one says otherwise."""

from __future__ import annotations

import shutil
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import pytest

from tests.live.harness import PATIENCE_S, asked, free_port, look, running, serving
from vsr.errors import OpenError, VSRError
from vsr.live.input.listener import Listener
from vsr.streams.ffmpeg.process import find_ffmpeg
from vsr.streams.names.container import open_container
from vsr.streams.names.trust import Trust


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A self-signed certificate of this machine, its key beside it."""
    program = shutil.which("openssl")
    if program is None:
        pytest.skip("no openssl to make a certificate with (apt-get install openssl)")
    path = tmp_path_factory.mktemp("tls") / "cert.pem"
    words = ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"]
    words += ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]
    words += ["-keyout", str(path.with_name("key.pem")), "-out", str(path)]
    subprocess.run([program, *words], check=True, capture_output=True)
    return path


def copy(one: socket.socket, other: socket.socket) -> None:
    """Bytes from one to the other until either ends."""
    with suppress(OSError):
        while data := one.recv(1 << 16):
            other.sendall(data)
    for line in (one, other):
        with suppress(OSError):
            line.shutdown(socket.SHUT_RDWR)


@contextmanager
def encrypted(port: int, certificate: Path) -> Iterator[int]:
    """A port that takes TLS and hands on to another port what comes."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, certificate.with_name("key.pem"))
    with socket.create_server(("127.0.0.1", 0)) as server, ExitStack() as lines:

        def hand_on(client: socket.socket) -> None:
            with client:
                try:
                    inside = context.wrap_socket(client, server_side=True)
                except OSError:
                    return
                with inside, socket.create_connection(("127.0.0.1", port)) as behind:
                    back = threading.Thread(target=copy, args=(behind, inside))
                    back.start()
                    copy(inside, behind)
                    back.join()

        def accept() -> None:
            while True:
                try:
                    client, _ = server.accept()
                except OSError:
                    return
                thread = threading.Thread(target=hand_on, args=(client,))
                thread.start()
                lines.callback(thread.join)

        accepting = threading.Thread(target=accept)
        accepting.start()
        try:
            yield server.getsockname()[1]
        finally:
            server.shutdown(socket.SHUT_RDWR)
            accepting.join()


def num_frames(address: str, trust: Trust) -> int:
    container, video = open_container(address, trust=trust, timeout=(PATIENCE_S, PATIENCE_S))
    with container:
        return sum(1 for _ in container.decode(video))


@pytest.fixture
def site(clip: Path, tmp_path: Path, certificate: Path) -> Iterator[str]:
    """A server of the clip and of a playlist, over HTTPS."""
    folder = tmp_path / "site"
    folder.mkdir()
    words = ["-loglevel", "error", "-i", str(clip), "-c", "copy", "-hls_list_size", "0"]
    subprocess.run([find_ffmpeg(), *words, str(folder / "list.m3u8")], check=True)
    shutil.copy(clip, folder / "clip.mp4")
    with (
        serving(folder) as address,
        encrypted(int(address.rpartition(":")[2]), certificate) as port,
    ):
        yield f"https://127.0.0.1:{port}"


@pytest.mark.parametrize("name", ["clip.mp4", "list.m3u8"])
def test_a_server_without_a_trusted_certificate_is_refused(
    name: str, site: str, certificate: Path
) -> None:
    with pytest.raises(OpenError, match=f"{site}/…' cannot be opened"):
        num_frames(f"{site}/{name}", Trust())
    for trust in (Trust(ca_file=certificate), Trust(insecure=True)):
        assert num_frames(f"{site}/{name}", trust) == 50


def test_addresses_in_a_playlist_are_verified_too(
    site: str, tmp_path: Path, certificate: Path
) -> None:
    """The playlist comes over HTTP, its segments from a server without a trusted certificate."""
    listed = (tmp_path / "site/list.m3u8").read_text().replace("list0.ts", f"{site}/list0.ts")
    (tmp_path / "site/far.m3u8").write_text(listed)
    with serving(tmp_path / "site") as address:
        with pytest.raises(VSRError):
            num_frames(f"{address}/far.m3u8", Trust())
        assert num_frames(f"{address}/far.m3u8", Trust(ca_file=certificate)) == 50


def received_by(listener: Listener) -> bytes:
    published = listener.next_publisher(PATIENCE_S)
    assert published is not None
    data = b"".join(iter(lambda: published.file.read(1 << 16), b""))
    published.close()
    return data


def test_a_sink_without_a_trusted_certificate_gets_nothing(
    clip: Path, tmp_path: Path, certificate: Path, caplog: pytest.LogCaptureFixture
) -> None:
    port = free_port()
    listener = Listener(f"rtmp://127.0.0.1:{port}/app/s3cret")
    with encrypted(port, certificate) as outside:
        target = f"rtmps://127.0.0.1:{outside}/app/s3cret"
        options = asked(clip, target, retries=0)
        with pytest.raises(VSRError, match="takes nothing"), running(options) as stream:
            stream.wait()
        assert listener.next_publisher(0) is None
        for trusted in ({"ca_file": certificate}, {"insecure": True}):
            with running(asked(clip, target, **trusted)):
                received = tmp_path / "received.flv"
                received.write_bytes(received_by(listener))
            assert look(received).numbers[:10] == list(range(10))
    listener.close()
    assert "certificates are not verified" in caplog.text
