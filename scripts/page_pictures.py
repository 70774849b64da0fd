"""Pictures of the page of ``vsr web`` for its manual: ``python -m scripts.page_pictures docs/web``.

The films are painted, and restored by a real server; the page is Chromium's. Each picture is of one
state of the page, with as few colours as a small file needs.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from io import BytesIO
from pathlib import Path

import click
from PIL import Image
from playwright.sync_api import Locator, Page, expect

from benchmarks.web import chromium, serving
from examples.demo.clip import DemoClip
from examples.demo.run import name_files, paint
from vsr.streams.ffmpeg.process import find_ffmpeg

WIDE, PHONE = {"width": 1180, "height": 720}, {"width": 360, "height": 740}
COLOURS = 128
CLIP_FRAMES = 75
LOOPS = 7
"""Times that the long film repeats the clip, so that its restoration lasts until it is shown."""

UPLOAD_BYTES_PER_S = 20_000
TIMEOUT_MS = 300_000

OTHERS = {
    "Änderung - Été à Łódź.mkv": "mandelbrot=size=640x360:rate=25",
    "gradients.mp4": "gradients=size=1280x720:rate=30",
    f"a recording with a name that is {'very ' * 9}long.mp4": "life=size=320x240:mold=10:ratio=0.3",
}
"""Sources of ffmpeg for the films that only stand in the list."""


@click.command()
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path))
def main(folder: Path) -> None:
    """Take all pictures."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="vsr-") as name, chromium() as browser:
        films = Path(name) / "films"
        write_films(films)
        with serving(films) as server:
            page = browser.new_page(viewport=WIDE, bypass_csp=True)  # type: ignore[arg-type]
            page.set_default_timeout(TIMEOUT_MS)
            expect.set_options(timeout=TIMEOUT_MS)
            page.goto(server.address)
            Pictures(page, folder).take(films)
        page.wait_for_selector("#error:not([hidden])")
        save(page.locator("header"), folder / "gone.png")
    total = sum(path.stat().st_size for path in folder.glob("*.png"))
    click.echo(f"{total / 1000:.0f} kB in all")


def write_films(folder: Path) -> None:
    """Paint the films of the list."""
    street = folder / "street.mp4"
    files = name_files(folder, str(street))
    paint(files, DemoClip(), CLIP_FRAMES)
    loop = ["-stream_loop", str(LOOPS), "-i", str(street), "-c", "copy", str(folder / "tram.mp4")]
    run_ffmpeg(*loop)
    for name, source in OTHERS.items():
        coding = ["-t", "2", "-pix_fmt", "yuv420p"]
        run_ffmpeg("-f", "lavfi", "-i", source, *coding, str(folder / name))


def run_ffmpeg(*words: str) -> None:
    """Run ffmpeg."""
    subprocess.run([find_ffmpeg(), "-v", "error", *words], check=True)


class Pictures:
    """Brings the page from state to state.

    Args:
        page: The page, just opened.
        folder: Folder of the pictures.
    """

    def __init__(self, page: Page, folder: Path) -> None:
        self._page, self._folder = page, folder

    def take(self, films: Path) -> None:
        """Take all pictures."""
        self._list()
        self._film()
        self._preview()
        self._upload(films / "street.mp4")
        self._queue()
        self._kept()
        self._live()

    def _list(self) -> None:
        page = self._page
        count = 2 + len(OTHERS)
        page.wait_for_function(
            "count => [...document.querySelectorAll('#films small')]"
            ".filter(one => one.textContent.match(/\\d:\\d\\d/)).length === count",
            arg=count,
        )
        pictures = "[...document.querySelectorAll('#films img')].every(i => i.complete)"
        page.wait_for_function(pictures)
        save(page, self._folder / "films.png")

    def _film(self) -> None:
        page = self._page
        page.locator("#films button", has_text="street.mp4").click()
        page.wait_for_selector("#facts:not(:empty)")
        page.click("#suggest")
        page.wait_for_selector("#suggestion:not(:empty)")
        page.click("#estimate")
        page.wait_for_selector("#forecast:not(:empty)")
        picture = "document.querySelector('#moment-picture').complete"
        page.wait_for_function(picture)
        save(page.locator("#film"), self._folder / "film.png")

    def _preview(self) -> None:
        page = self._page
        page.click("#preview")
        page.wait_for_selector("#compare:not([hidden])")
        page.focus("#divider")
        page.check("[name=zoom][value='1']")
        page.click("#forward")
        page.fill("#divider", "42")
        save(page.locator("#compare"), self._folder / "preview.png")

    def _upload(self, film: Path) -> None:
        """An upload over a slow connection, stopped in its middle."""
        page = self._page
        slow = page.context.new_cdp_session(page)
        speeds = {"latency": 0, "downloadThroughput": -1}
        slow.send(
            "Network.emulateNetworkConditions",
            {"offline": False, "uploadThroughput": UPLOAD_BYTES_PER_S, **speeds},
        )
        page.set_input_files("#file", film)
        bar = "document.querySelector('#uploads progress')"
        page.wait_for_function(f"{bar} && {bar}.value > 0.2 * {bar}.max")
        page.evaluate("document.body.classList.add('dropping')")
        save(page, self._folder / "upload.png", height=260)
        page.evaluate("document.body.classList.remove('dropping')")
        page.click("#uploads button")
        slow.send(
            "Network.emulateNetworkConditions",
            {"offline": False, "uploadThroughput": -1, **speeds},
        )

    def _queue(self) -> None:
        page = self._page
        page.click("text=Restore the film")
        page.wait_for_selector("#jobs li.done")
        for name in ("tram.mp4", "gradients.mp4"):
            page.locator("#films button", has_text=name).click()
            page.wait_for_function(
                "name => document.querySelector('#film-title').textContent === name", arg=name
            )
            page.click("text=Restore the film")
        page.wait_for_selector("#jobs li.running img:not([hidden])")
        page.wait_for_function("document.querySelector('#jobs progress:not([hidden])').value > 60")
        page.locator("#jobs li.running summary").click()
        save(page.locator("section", has=page.locator("#jobs")), self._folder / "queue.png")
        for job in ("gradients.mp4", "tram.mp4"):
            page.click(f"[aria-label='Cancel: {job}']")
        page.wait_for_selector("#jobs li.running", state="detached")

    def _kept(self) -> None:
        """The question which one is kept, on a phone in the dark."""
        page = self._page
        page.emulate_media(color_scheme="dark")
        page.set_viewport_size(PHONE)  # type: ignore[arg-type]
        page.click("[aria-label='Compare: street.mp4']")
        page.wait_for_selector("#keep:not([hidden])")
        page.check("[name=zoom][value='fit']")
        page.locator("#compare").scroll_into_view_if_needed()
        page.evaluate("document.querySelector('#compare').scrollIntoView()")
        save(page, self._folder / "phone.png")
        page.emulate_media(color_scheme="light")
        page.set_viewport_size(WIDE)  # type: ignore[arg-type]

    def _live(self) -> None:
        page = self._page
        page.locator("#films button", has_text="tram.mp4").click()
        page.wait_for_selector("#facts:not(:empty)")
        page.click("text=Start a live stream")
        page.fill("#live [name=name]", "yard")
        page.check("#live [name=film]")
        page.select_option("#live [name=model]", "bicubic-x4")
        page.click("text=Start the stream")
        page.wait_for_function(
            "[...document.querySelectorAll('#streams img')].filter(i => i.naturalWidth)[1]"
        )
        expect(page.locator("#streams li")).to_contain_text("yard.mkv: open")
        save(page.locator("section", has=page.locator("#streams")), self._folder / "live.png")
        page.click("[aria-label='Stop: yard']")
        page.wait_for_selector("#streams .state:is(.stopped, .ended)")


def save(what: Page | Locator, path: Path, *, height: int | None = None) -> None:
    """Write a picture with few colours.

    Args:
        what: The page or a part of it.
        path: The file.
        height: Rows from the top that are kept; None for all.
    """
    with Image.open(BytesIO(what.screenshot())) as taken:
        rows = taken.height if height is None else height
        shown = taken.convert("RGB").crop((0, 0, taken.width, rows))
    few = shown.quantize(COLOURS, dither=Image.Dither.NONE)
    few.save(path, optimize=True)
    click.echo(f"{path}: {shown.width}x{shown.height}, {path.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    sys.exit(main())
