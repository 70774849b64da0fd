"""Errors of sources in one line: what came, what is accepted, what to do."""

import socket
import threading
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.media import Clip, numbered_frame, write_clip, write_images
from vsr.errors import DecodeError, OpenError, ReadError, StreamTimeout, VSRError
from vsr.streams import open_reader
from vsr.streams.names import container


def refusal(source: Path | str) -> str:
    """The message with which a source is refused."""
    with pytest.raises(OpenError) as caught:
        open_reader(str(source))
    message = str(caught.value)
    assert "\n" not in message
    assert str(source).rstrip("/").rsplit("/", 1)[-1].split("%")[0] in message
    return message


def test_a_missing_file(tmp_path: Path) -> None:
    assert "does not exist; give a video file" in refusal(tmp_path / "nothing.mp4")


def test_an_empty_file(tmp_path: Path) -> None:
    (tmp_path / "empty.mp4").touch()
    assert "is empty" in refusal(tmp_path / "empty.mp4")


@pytest.mark.parametrize("name", ["notes.txt", "clip.mp4", "data.bin"])
def test_text(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("This is not a video.\n" * 200)
    assert "is not a video that ffmpeg can read" in refusal(tmp_path / name)


def test_rubbish(tmp_path: Path) -> None:
    (tmp_path / "rubbish.mkv").write_bytes(np.random.default_rng(1).bytes(100_000))
    assert "is not a video that ffmpeg can read" in refusal(tmp_path / "rubbish.mkv")


def test_an_mp4_without_its_index(tmp_path: Path) -> None:
    data = write_clip(tmp_path / "whole.mp4").read_bytes()
    (tmp_path / "cut.mp4").write_bytes(data[: len(data) // 2])
    assert "the moov box, is missing" in refusal(tmp_path / "cut.mp4")


def test_sound_alone(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "clip.mkv", Clip(audio="libmp3lame"))
    sound = tmp_path / "sound.srt"
    sound.write_text("1\n00:00:01,000 --> 00:00:02,000\nHello\n")
    assert path.exists()
    assert "has no video stream, only subtitle" in refusal(sound)


def test_a_connection_that_fails_is_told_from_a_file_that_is_cut_off(tmp_path: Path) -> None:
    whole = write_clip(tmp_path / "whole.mkv", Clip(num_frames=150)).read_bytes()
    (tmp_path / "cut.mkv").write_bytes(whole[: len(whole) // 2])

    class BreaksOff(SimpleHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", str(len(whole)))
            self.end_headers()
            self.wfile.write(whole[: len(whole) // 2])

        def log_message(self, *_: object) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), BreaksOff) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        address = f"http://127.0.0.1:{server.server_port}/whole.mkv"
        kinds = [broken_by(source) for source in (address, tmp_path / "cut.mkv")]
        server.shutdown()
        thread.join()
    assert kinds == [ReadError, DecodeError]


def broken_by(source: Path | str) -> type[DecodeError]:
    """The kind of error with which reading a source ends."""
    with open_reader(str(source)) as reader, pytest.raises(DecodeError) as caught:
        list(reader.chunks(8))
    return caught.type


def test_a_folder_without_images(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert "holds no image" in refusal(tmp_path / "empty")


def test_a_pattern_without_images(tmp_path: Path) -> None:
    assert "no image named like" in refusal(tmp_path / "frame%05d.png")


def test_a_pattern_in_a_missing_folder(tmp_path: Path) -> None:
    assert "does not exist" in refusal(f"{tmp_path}/nothing/%05d.png".replace("%05d.png", "%d.png"))


def test_a_broken_first_image(tmp_path: Path) -> None:
    folder = tmp_path / "frames"
    folder.mkdir()
    (folder / "1.png").write_bytes(b"nothing")
    with pytest.raises(OpenError, match=r"1\.png.*cannot be read as an image"):
        open_reader(str(folder))


def test_a_broken_later_image_is_named(tmp_path: Path) -> None:
    folder = write_images(tmp_path / "frames", 5)
    (folder / "4.png").write_bytes(b"nothing")
    with open_reader(str(folder)) as reader, pytest.raises(DecodeError, match=r"4\.png"):
        list(reader.chunks(2))


def test_an_image_of_another_size_is_named(tmp_path: Path) -> None:
    folder = write_images(tmp_path / "frames", 5)
    Image.fromarray(numbered_frame(3, 30, 40)).save(folder / "4.png")
    with open_reader(str(folder)) as reader, pytest.raises(DecodeError, match=r"4\.png.*40x30"):
        list(reader.chunks(2))


def test_an_address_where_nobody_listens() -> None:
    with pytest.raises(VSRError, match=r"127\.0\.0\.1"):
        open_reader("tcp://127.0.0.1:9/clip")


def test_an_address_that_stays_silent_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(container, "OPEN_TIMEOUT_S", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with pytest.raises(StreamTimeout, match="did not answer within"):
            open_reader(f"tcp://127.0.0.1:{port}")
