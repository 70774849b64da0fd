"""A source opens nothing beside itself, unless it was named as a playlist."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.live.harness import serving
from tests.media import Clip, write_clip
from vsr.errors import OpenError, VSRError
from vsr.streams.ffmpeg.process import find_ffmpeg
from vsr.streams.names.container import open_container
from vsr.streams.open import open_reader


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clip, also as a transport stream, and lists of it in several formats."""
    path = tmp_path_factory.mktemp("lists")
    write_clip(path / "clip.mp4", Clip(num_frames=5))
    words = ["-loglevel", "error", "-i", str(path / "clip.mp4"), "-c", "copy"]
    subprocess.run([find_ffmpeg(), *words, str(path / "clip.ts")], check=True)
    (path / "concat.txt").write_text("ffconcat version 1.0\nfile clip.mp4\n")
    (path / "playlist.txt").write_text(hls("clip.ts"))
    return path


def hls(segment: str) -> str:
    head = "#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:1\n#EXT-X-MEDIA-SEQUENCE:0\n"
    return f"{head}#EXTINF:0.2,\n{segment}\n#EXT-X-ENDLIST\n"


def num_frames(source: str | Path) -> int:
    container, video = open_container(str(source))
    with container:
        return sum(1 for _ in container.decode(video))


@pytest.mark.parametrize("ending", ["mp4", "mkv", "ts", "txt", "avi"])
@pytest.mark.parametrize("listing", ["concat.txt", "playlist.txt"])
def test_a_list_of_files_under_another_name_is_refused(
    listing: str, ending: str, folder: Path
) -> None:
    named = folder / f"{Path(listing).stem}.{ending}"
    named.write_bytes((folder / listing).read_bytes())
    with pytest.raises(OpenError):
        open_reader(str(named))


def test_the_refusal_says_how_lists_have_to_be_named(folder: Path) -> None:
    named = folder / "again.mp4"
    named.write_bytes((folder / "concat.txt").read_bytes())
    with pytest.raises(OpenError, match=r"has to be named \.m3u8 or"):
        open_container(str(named))


def test_a_playlist_that_is_named_as_one_is_read(folder: Path) -> None:
    (folder / "list.m3u8").write_bytes((folder / "playlist.txt").read_bytes())
    (folder / "list.ffconcat").write_bytes((folder / "concat.txt").read_bytes())
    with serving(folder) as address:
        (folder / "far.m3u8").write_text(hls(f"{address}/clip.ts"))
        for source in (folder / "list.m3u8", folder / "list.ffconcat", f"{address}/list.m3u8?a=b"):
            assert num_frames(source) == 5
        for source in (folder / "far.m3u8", f"{address}/playlist.txt", f"{address}/concat.txt"):
            with pytest.raises(VSRError):
                num_frames(source)


def test_a_playlist_from_the_network_reads_no_file_of_this_machine(folder: Path) -> None:
    for segment in (folder / "clip.ts", f"file:{folder}/clip.ts", f"concat:{folder}/clip.ts"):
        (folder / "stolen.m3u8").write_text(hls(str(segment)))
        with serving(folder) as address, pytest.raises(VSRError):
            assert num_frames(f"{address}/stolen.m3u8") == 0


def test_bytes_from_elsewhere_open_nothing(folder: Path) -> None:
    for listing in ("concat.txt", "playlist.txt"):
        with (folder / listing).open("rb") as file, pytest.raises(OpenError):
            open_container("rtmp://host.example/app/x.m3u8", file=file, timeout=(1, 1))
