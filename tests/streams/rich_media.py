"""A film with everything beside the picture: tracks, subtitles, a font, a cover, chapters."""

from __future__ import annotations

import subprocess
from pathlib import Path

from PIL import Image

from vsr.streams.ffmpeg.process import find_ffmpeg

SUBTITLES = """1
00:00:00,200 --> 00:00:00,800
Where <i>is</i> she?

2
00:00:01,200 --> 00:00:01,800
Gone.
"""

CHAPTERS = """;FFMETADATA1
title=A film
[CHAPTER]
TIMEBASE=1/1000
START=0
END=1000
title=Before
[CHAPTER]
TIMEBASE=1/1000
START=1000
END=2000
title=After
"""

FONT = bytes(range(256)) * 4


def write_film(folder: Path, name: str = "film.mkv") -> Path:
    """Write two seconds of picture, two tracks of sound, two of subtitles, and the rest."""
    (folder / "subtitles.srt").write_text(SUBTITLES)
    (folder / "chapters.txt").write_text(CHAPTERS)
    (folder / "font.ttf").write_bytes(FONT)
    Image.new("RGB", (32, 32), "navy").save(folder / "cover.jpg")
    run_ffmpeg(folder, f"{_INPUTS} {_TRACKS} {_FLAGS} {_ATTACHMENTS} {name}")
    return folder / name


def run_ffmpeg(folder: Path, words: str) -> None:
    """Run the shipped ffmpeg in a folder; its words hold no spaces."""
    command = [find_ffmpeg(), "-v", "error", "-y", *words.split()]
    subprocess.run(command, cwd=folder, check=True, capture_output=True)


_INPUTS = """-f lavfi -i testsrc2=size=96x72:rate=25:duration=2 -f lavfi -i sine=duration=2
    -f lavfi -i sine=660:duration=2 -i subtitles.srt -i chapters.txt
    -map 0 -map 1 -map 2 -map 3 -map 3 -map_metadata 4 -map_chapters 4"""
_TRACKS = "-c:v libx264 -preset ultrafast -c:a aac -c:s:0 srt -c:s:1 ass"
_FLAGS = """-metadata:s:v language=jpn -metadata:s:v title=Main
    -metadata:s:a:0 language=eng -disposition:a:0 0
    -metadata:s:a:1 language=fra -metadata:s:a:1 title=Commentary -disposition:a:1 default+comment
    -metadata:s:s:0 language=eng -disposition:s:0 default+forced
    -metadata:s:s:1 language=deu -disposition:s:1 hearing_impaired"""
_ATTACHMENTS = """-attach font.ttf -metadata:s:t:0 mimetype=application/x-truetype-font
    -attach cover.jpg -metadata:s:t:1 mimetype=image/jpeg"""
