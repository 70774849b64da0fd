"""``--listen``: who may publish, and what others can do meanwhile."""

from __future__ import annotations

import os
import random
import shutil
import socket
import struct
import subprocess
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.live.harness import (
    PATIENCE_S,
    asked,
    ffmpeg,
    free_port,
    look,
    publish,
    running,
    until,
)
from vsr.errors import ConfigurationError, DecodeError, OpenError, VSRError
from vsr.live.input import amf
from vsr.live.input.kind import check_listening
from vsr.live.input.listener import MOST_CLIENTS, Listener
from vsr.live.input.rtmp_messages import COMMAND, Message, MessageReader, chunks
from vsr.live.input.rtmp_publisher import FLV_HEADER, RTMPPublisher


@pytest.fixture
def address() -> str:
    return f"rtmp://127.0.0.1:{free_port()}/app/s3cret"


@pytest.fixture
def listener(address: str) -> Iterator[Listener]:
    one = Listener(address)
    yield one
    one.close()


def client_of(address: str) -> socket.socket:
    parts = urlsplit(address)
    return socket.create_connection((parts.hostname, parts.port), timeout=PATIENCE_S)


def is_ended(client: socket.socket) -> bool:
    try:
        while client.recv(4096):
            pass
    except ConnectionError:
        pass
    return True


@pytest.mark.parametrize("path", ["/app/other", "/other/s3cret", "/app/s3cret/x", "/app/s3cre"])
def test_another_application_or_key_is_refused_and_the_publisher_told(
    path: str, address: str, listener: Listener, clip: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with publish(clip, address.replace("/app/s3cret", path)) as publisher:
        assert publisher.wait(PATIENCE_S) != 0
    assert listener.next_publisher(0) is None
    until(lambda: "refused" in caplog.text, "it is said")
    assert "names another" in caplog.text
    assert "s3cret" not in caplog.text


def received(listener: Listener) -> bytes:
    published = listener.next_publisher(PATIENCE_S)
    assert published is not None
    data = b"".join(iter(lambda: published.file.read(1 << 16), b""))
    published.close()
    return data


@pytest.mark.parametrize("words", [["-c", "copy"], ["-c:v", "libx265", "-preset", "ultrafast"]])
def test_published_frames_arrive_frame_by_frame(
    words: list[str], address: str, listener: Listener, clip: Path, tmp_path: Path
) -> None:
    """H.264, and HEVC by enhanced RTMP."""
    with ffmpeg("-i", clip, *words, "-f", "flv", address) as publisher:
        arrived = received(listener)
        assert publisher.wait(PATIENCE_S) == 0
    assert arrived.startswith(FLV_HEADER)
    (tmp_path / "arrived.flv").write_bytes(arrived)
    assert look(tmp_path / "arrived.flv").numbers == list(range(50))


@pytest.mark.slow
@pytest.mark.parametrize("sink", ["rtmp2sink", "rtmpsink"])
def test_gstreamers_clients_are_understood(
    sink: str, address: str, listener: Listener, clip: Path, tmp_path: Path
) -> None:
    program = shutil.which("gst-launch-1.0")
    if (
        program is None
        or subprocess.run(["gst-inspect-1.0", "--exists", sink], check=False).returncode
    ):
        pytest.skip(f"no {sink} (apt-get install gstreamer1.0-tools gstreamer1.0-plugins-bad)")
    words = f"filesrc location={clip} ! qtdemux ! h264parse ! flvmux ! {sink} location={address}"
    with subprocess.Popen([program, "-q", *words.split()]) as publisher:
        (tmp_path / "arrived.flv").write_bytes(received(listener))
        assert publisher.wait(PATIENCE_S) == 0
    assert look(tmp_path / "arrived.flv").numbers == list(range(50))


@pytest.mark.slow
def test_a_player_is_refused(
    address: str, listener: Listener, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    program = shutil.which("rtmpdump")
    if program is None:
        pytest.skip("no rtmpdump (apt-get install rtmpdump)")
    subprocess.run([program, "-q", "-r", address, "-o", tmp_path / "x.flv"], check=False)
    until(lambda: "wants to play" in caplog.text, "the refusal is logged")
    assert listener.next_publisher(0) is None


@pytest.mark.parametrize("said", [b"", b"\3", b"\3" + bytes(1536), b"GET / HTTP/1.1\r\n\r\n"])
def test_twenty_clients_that_stop_half_way_change_nothing(
    said: bytes, address: str, listener: Listener, clip: Path
) -> None:
    assert MOST_CLIENTS < 20
    with ExitStack() as clients:
        for _ in range(20):
            clients.enter_context(client_of(address)).sendall(said)
        with ffmpeg("-i", clip, "-c", "copy", "-f", "flv", address):
            assert len(received(listener)) > clip.stat().st_size // 2


def test_a_client_that_stops_half_way_is_ended(
    address: str, listener: Listener, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vsr.live.input.listener.PHASE_TIMEOUT_S", 0.1)
    for said in (b"", b"\3", b"\3" + bytes(1536), b"\3" + bytes(2 * 1536)):
        with client_of(address) as client:
            client.sendall(said)
            assert is_ended(client)


def test_a_second_publisher_is_refused_while_the_first_sends(
    address: str, listener: Listener, long_clip: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with publish(long_clip, address) as first:
        published = listener.next_publisher(PATIENCE_S)
        assert published is not None
        assert published.file.read(len(FLV_HEADER)) == FLV_HEADER
        with publish(long_clip, address) as second:
            assert second.wait(PATIENCE_S) != 0
        assert first.poll() is None
        published.close()
    assert "another publisher is there" in caplog.text
    assert listener.next_publisher(0) is None


def test_a_publisher_that_fell_silent_gives_way_to_itself(
    address: str, listener: Listener, clip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The line of a camera broke without a word, and it is back on another one."""
    monkeypatch.setattr("vsr.live.input.listener.SILENT_S", 0.0)
    with publish(clip, address):
        first = listener.next_publisher(PATIENCE_S)
        assert first is not None
        with publish(clip, address):
            second = listener.next_publisher(PATIENCE_S)
            assert second is not None
            until(lambda: not first.file.read(1 << 16), "the first one's file ends")
            first.close()
            second.close()


def test_an_address_without_a_key_or_a_port_that_is_taken_is_an_error(
    listener: Listener, address: str
) -> None:
    with pytest.raises(ConfigurationError, match="no key that publishers are known by"):
        Listener("rtmp://127.0.0.1:1935/live")
    with pytest.raises(ConfigurationError, match="no key that publishers are known by"):
        Listener("rtmp://127.0.0.1:1935/live/stream?key=x")
    with pytest.raises(OpenError, match="cannot be listened at"):
        Listener(address)
    with pytest.raises(ConfigurationError, match="is not checked and protects nothing"):
        check_listening("srt://0.0.0.0:9000?streamid=s3cret")
    check_listening("srt://0.0.0.0:9000?passphrase=long enough")


def test_a_stream_survives_strangers_and_is_fed_by_the_next_publisher(
    address: str, clip: Path, tmp_path: Path
) -> None:
    with running(asked(address, tmp_path / "out.mkv", listen=True)) as stream:
        with publish(clip, address) as publisher:
            stream.until("frames come", frames_in=10)
            with client_of(address) as silent, publish(clip, address + "x") as stranger:
                silent.sendall(b"\3")
                assert stranger.wait(PATIENCE_S) != 0
            assert publisher.wait(PATIENCE_S) == 0
        stream.until("the first has sent all", frames_in=50)
        with publish(clip, address):
            stream.until("the second is taken", frames_in=60, reconnects=1)
    look(tmp_path / "out.mkv").assert_ordered()


def test_a_transport_stream_over_tcp_is_taken(clip: Path, tmp_path: Path) -> None:
    address = f"tcp://127.0.0.1:{free_port()}"
    with (
        running(asked(address, tmp_path / "out.mkv", listen=True)) as stream,
        client_of(address),
        publish(clip, address),
    ):
        stream.until("frames come", frames_in=40)
    look(tmp_path / "out.mkv").assert_ordered()


COMMANDS = amf.encode("connect", 1, {"app": "app", "tcUrl": "rtmp://h/app", "audio": True}, None)


def feed(data: bytes) -> Callable[[int], bytes]:
    """A client that sends this and closes."""
    place = 0

    def read(length: int) -> bytes:
        nonlocal place
        if place + length > len(data):
            raise EOFError
        place += length
        return data[place - length : place]

    return read


def test_any_bytes_end_in_an_error_and_not_in_a_crash_or_in_memory() -> None:
    draw = random.Random(16)
    session = bytearray(b"\3" + bytes(3072))
    for values in (("connect", 1, {"app": "app"}), ("createStream", 2, None)):
        session += chunks(Message(kind=COMMAND, body=amf.encode(*values)))
    session += chunks(Message(kind=COMMAND, body=amf.encode("publish", 3, None, "s3cret", "live")))
    tracemalloc.start()
    for _ in range(1000):
        broken = bytearray(session)
        for _ in range(draw.randint(1, 6)):
            broken[draw.choice((0, draw.randint(3073, len(broken) - 1)))] = draw.randint(0, 255)
        publisher = RTMPPublisher(feed(bytes(broken)), lambda _: None, "app/s3cret")
        try:
            publisher.shake_hands()
            publisher.admit()
        except (VSRError, EOFError):
            pass
    _, most_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most_bytes < 4 << 20


def test_a_message_that_promises_megabytes_is_refused_before_they_come() -> None:
    head = bytes([3]) + bytes(3) + (1 << 20).to_bytes(3, "big") + bytes([COMMAND]) + bytes(4)
    with pytest.raises(DecodeError, match="1048576 bytes long"):
        MessageReader(feed(head), most_bytes=65536).next()


def test_messages_are_put_together_from_chunks_in_turn() -> None:
    """Two messages of 300 bytes, their chunks of 128 in turn; times beyond 24 bits."""
    bodies = [os.urandom(300), os.urandom(300)]
    late = struct.pack(">I", 0x01000000)
    data = b""
    for part in range(3):
        for name, body in ((4, bodies[0]), (6, bodies[1])):
            head = (
                bytes([name]) + b"\xff\xff\xff" + (300).to_bytes(3, "big") + bytes([8]) + bytes(4)
            )
            data += (head if part == 0 else bytes([0xC0 | name])) + late
            data += body[128 * part : 128 * (part + 1)]
    reader = MessageReader(feed(data), most_bytes=65536)
    found = [reader.next(), reader.next()]
    assert [one.body for one in found] == bodies
    assert [one.time_ms for one in found] == [0x01000000] * 2


@contextmanager
def srt_publisher(clip: Path, address: str) -> Iterator[subprocess.Popen[bytes]]:
    with ffmpeg(
        "-re", "-stream_loop", "-1", "-i", clip, "-c", "copy", "-f", "mpegts", address
    ) as one:
        yield one


def test_a_caller_of_srt_without_the_passphrase_is_kept_out(clip: Path, tmp_path: Path) -> None:
    address = f"srt://127.0.0.1:{free_port()}?passphrase=correct horse".replace(" ", "_")
    with running(asked(address, tmp_path / "out.mkv", listen=True)) as stream:
        with srt_publisher(clip, address.replace("correct", "wrong")) as stranger:
            stranger.wait(PATIENCE_S)
        assert stream.figures.tally.frames_in == 0
        with srt_publisher(clip, address):
            stream.until("frames come", frames_in=5)


def test_a_publisher_that_is_gone_when_it_is_admitted_makes_room_for_the_next(
    address: str, listener: Listener, clip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def reset(_: RTMPPublisher) -> None:
        raise ConnectionResetError("Connection reset by peer")

    with monkeypatch.context() as patched:
        patched.setattr(RTMPPublisher, "accept", reset)
        with publish(clip, address):
            assert received(listener) == b""
    with ffmpeg("-i", clip, "-c", "copy", "-f", "flv", address):
        assert received(listener).startswith(FLV_HEADER)


@pytest.mark.parametrize("name", ["connect", "createStream", "releaseStream"])
@pytest.mark.parametrize("number", [[1.0], "one", {"a": 1.0}])
def test_a_command_whose_number_is_none_is_refused(name: str, number: object) -> None:
    publisher = RTMPPublisher(feed(b""), lambda _: None, "app/s3cret")
    with pytest.raises(DecodeError, match="transaction number of a command is no number"):
        publisher._obey([name, number, {"app": "app"}])
