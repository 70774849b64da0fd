"""Cost of the page of ``vsr web``: ``python -m benchmarks.web``.

First paint with many films, the rate of an upload against the disk's, and how much longer a
restoration takes while the page shows it. The server is a process of its own, the page is open in a
real Chromium. Other work on the machine changes all figures.
"""

from __future__ import annotations

import http.client
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import click
from playwright.sync_api import Browser, sync_playwright

from vsr.streams.ffmpeg.process import find_ffmpeg

BLOCK, FRAMES = 4 << 20, 100
LOOK_EVERY_S = 2.0


@dataclass(frozen=True, kw_only=True)
class Server:
    """A running ``vsr web``.

    Attributes:
        address: Address of its page.
        pid: Its process id.
    """

    address: str
    pid: int

    def processor_s(self) -> tuple[float, float]:
        """Processor seconds of the server, and of the processes that it has seen end."""
        stat = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        user, system, of_ended, system_of_ended = (int(ticks) for ticks in stat[11:15])
        ticks_per_s = os.sysconf("SC_CLK_TCK")
        return (user + system) / ticks_per_s, (of_ended + system_of_ended) / ticks_per_s


@click.command()
@click.option("--films", default=1000, show_default=True, help="Films in the list.")
@click.option("--megabytes", default=1000, show_default=True, help="Size of the upload.")
@click.option("--frames", default=500, show_default=True, help="Frames of the restoration.")
@click.option("--model", default="compact-x4-video", show_default=True, help="Its model.")
@click.option("--rounds", default=3, show_default=True)
def main(films: int, megabytes: int, frames: int, model: str, rounds: int) -> None:
    """Print milliseconds, megabytes a second, and what the page costs."""
    print_load("before")
    with tempfile.TemporaryDirectory() as name, chromium() as browser:
        film = render(Path(name) / "film.mp4", FRAMES)
        measure_paint(film, Path(name) / "many", browser, films, rounds)
        measure_upload(film, Path(name) / "upload", browser, megabytes, rounds)
        measure_cost(Path(name) / "cost", browser, frames, model, rounds)
    print_load("after")


def print_load(when: str) -> None:
    """Print how much else the machine does."""
    click.echo(f"load {when}: {os.getloadavg()[0]:.2f}")


def render(path: Path, frames: int) -> Path:
    """Write a film of 320x180 that moves."""
    source = ["-f", "lavfi", "-i", "testsrc2=size=320x180:rate=25"]
    coding = ["-frames:v", str(frames), "-c:v", "libx264", "-pix_fmt", "yuv420p", str(path)]
    subprocess.run([find_ffmpeg(), "-v", "error", *source, *coding], check=True)
    return path


def measure_paint(film: Path, folder: Path, browser: Browser, films: int, rounds: int) -> None:
    """Print how long the page takes to show itself, and then all films."""
    folder.mkdir()
    for number in range(films):
        os.link(film, folder / f"film {number:04}.mp4")
    with serving(folder) as server:
        for number in range(rounds):
            paint_ms, listed_ms = first_paint(browser, server.address, films)
            when = "first visit" if number == 0 else "later"
            click.echo(
                f"{films} films, {when}: first contentful paint {paint_ms:.0f} ms, "
                f"all in the list {listed_ms:.0f} ms"
            )


def first_paint(browser: Browser, address: str, films: int) -> tuple[float, float]:
    """Milliseconds from the request to the first paint, and to the complete list."""
    with browser.new_context(bypass_csp=True) as context:
        page = context.new_page()
        page.goto(address)
        count = "count => document.querySelectorAll('#films li').length === count"
        page.wait_for_function(count, arg=films)
        listed: float = page.evaluate("performance.now()")
        script = "performance.getEntriesByName('first-contentful-paint')[0]?.startTime"
        page.wait_for_function(script)
        paint: float = page.evaluate(script)
        return paint, listed


def measure_upload(film: Path, folder: Path, browser: Browser, megabytes: int, rounds: int) -> None:
    """Print the rates of a write by this process, of an upload by it, and of one by Chromium."""
    folder.mkdir()
    large = pad(film, folder / "large.mp4", megabytes)
    size = large.stat().st_size
    ways: dict[str, Callable[[Server], float]] = {
        "written to the disk": lambda _: written(large, folder / "copy"),
        "sent by a program": lambda server: sent(large, server.address),
        "dropped in Chromium": lambda server: dropped(large, server.address, browser),
    }
    rates: dict[str, list[float]] = {name: [] for name in ways}
    with serving(folder) as server:
        for _ in range(rounds):
            for name, way in ways.items():
                os.sync()
                rates[name].append(size / 1e6 / way(server))
    for name, measured in rates.items():
        shown = ", ".join(f"{rate:.0f}" for rate in measured)
        click.echo(f"{size / 1e6:.0f} MB {name}: {statistics.median(measured):.0f} MB/s ({shown})")


def pad(film: Path, target: Path, megabytes: int) -> Path:
    """Make a film larger by a box that players skip."""
    shutil.copy(film, target)
    size = megabytes * 10**6
    with target.open("ab") as file:
        file.write((1).to_bytes(4, "big") + b"free" + size.to_bytes(8, "big"))
        block = os.urandom(BLOCK)
        for start in range(16, size, BLOCK):
            file.write(block[: size - start])
    return target


def written(source: Path, target: Path) -> float:
    """Seconds of reading a file and writing it elsewhere, as the server writes."""
    started = time.perf_counter()
    with source.open("rb") as read, target.open("wb") as file:
        while block := read.read(BLOCK):
            file.write(block)
    seconds = time.perf_counter() - started
    target.unlink()
    return seconds


def sent(film: Path, address: str) -> float:
    """Seconds of an upload; the film is removed again."""
    where = urlsplit(address)
    headers = {"Authorization": f"Bearer {where.query.removeprefix('token=')}"}
    connection = http.client.HTTPConnection(where.netloc, blocksize=1 << 20)
    length = {"Content-Length": str(film.stat().st_size)}
    started = time.perf_counter()
    with film.open("rb") as file:
        connection.request("PUT", "/api/films?name=sent.mp4", file, headers | length)
        answer = connection.getresponse()
        made = json.loads(answer.read())
    seconds = time.perf_counter() - started
    connection.request("DELETE", f"/api/films/{made['id']}", headers=headers)
    connection.getresponse().read()
    return seconds


def dropped(film: Path, address: str, browser: Browser) -> float:
    """Seconds of an upload by the page; the film is removed again."""
    with browser.new_context(bypass_csp=True) as context:
        page = context.new_page()
        page.goto(address)
        page.wait_for_selector("#films li")
        script = """async () => {
            const { films } = await (await fetch("api/films")).json();
            const dropped = films.filter(film => film.uploaded);
            for (const { id } of dropped) await fetch(`api/films/${id}`, { method: "DELETE" });
        }"""
        started = time.perf_counter()
        with page.expect_response(lambda one: one.request.method == "PUT", timeout=0):
            page.set_input_files("#file", film, timeout=0)
        seconds = time.perf_counter() - started
        page.evaluate(script)
        return seconds


def measure_cost(folder: Path, browser: Browser, frames: int, model: str, rounds: int) -> None:
    """Print how long the same restoration takes with the page closed and open, in turn.

    With the page open, also the processor time of the server by that of the restoration, which
    other work on the machine hardly changes.
    """
    folder.mkdir()
    render(folder / "film.mp4", frames)
    seconds: dict[str, list[float]] = {"closed": [], "open": []}
    shares: list[float] = []
    with serving(folder) as server:
        for _ in range(rounds):
            seconds["closed"].append(restored(server.address, model))
            with browser.new_context() as context:
                page = context.new_page()
                page.goto(server.address)
                page.wait_for_selector("#films li")
                wait = partial(page.wait_for_timeout, LOOK_EVERY_S * 1000)
                before = server.processor_s()
                seconds["open"].append(restored(server.address, model, wait))
                own, job = (a - b for a, b in zip(server.processor_s(), before, strict=True))
                shares.append(own / job)
    closed, opened = (statistics.median(values) for values in seconds.values())
    for name, values in seconds.items():
        click.echo(f"{frames} frames, page {name}: " + ", ".join(f"{v:.2f}" for v in values) + " s")
    click.echo(f"the page costs the restoration {opened / closed - 1:+.1%} (medians)")
    shown = ", ".join(f"{share:.2%}" for share in shares)
    click.echo(f"processor time of the server by that of the restoration, page open: {shown}")


def restored(
    address: str, model: str, wait: Callable[[], None] = lambda: time.sleep(LOOK_EVERY_S)
) -> float:
    """Seconds of a restoration by its own account; its job is removed with the result.

    Args:
        address: Address of the page.
        model: Model of the restoration.
        wait: Lets some time pass; an open page has to be waited for by its browser.
    """
    film = ask(address, "GET", "/api/films")["films"][0]["id"]
    job = ask(address, "POST", f"/api/films/{film}/jobs", {"options": {"model": model}})["id"]
    while (now := ask(address, "GET", "/api/jobs")["jobs"][0])["state"] != "done":
        if now["state"] not in {"queued", "running"}:
            raise click.ClickException(f"the restoration {now['state']}: {now['message']}")
        wait()
    ask(address, "DELETE", f"/api/jobs/{job}?result=delete")
    return float(now["seconds"])


def ask(address: str, method: str, path: str, content: object = None) -> Any:
    """One request for JSON."""
    where = urlsplit(address)
    headers = {"Authorization": f"Bearer {where.query.removeprefix('token=')}"}
    connection = http.client.HTTPConnection(where.netloc)
    with closing(connection):
        body = None if content is None else json.dumps(content)
        connection.request(method, path, body, headers)
        text = connection.getresponse().read()
        return json.loads(text) if text else None


@contextmanager
def serving(folder: Path) -> Iterator[Server]:
    """``vsr web`` of a folder, in a process of its own."""
    command = [sys.executable, "-m", "vsr", "web", str(folder)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert process.stdout is not None
    try:
        for line in process.stdout:
            if found := re.search(r"http://\S+token=\S+", line):
                yield Server(address=found[0], pid=process.pid)
                return
        raise click.ClickException("the server did not start")
    finally:
        process.terminate()
        process.communicate()


@contextmanager
def chromium() -> Iterator[Browser]:
    """A browser without a window."""
    program = shutil.which("chromium") or shutil.which("google-chrome")
    if program is None:
        raise click.ClickException("there is no chromium; install it")
    options: dict[str, Any] = {"args": ["--no-sandbox", "--no-proxy-server"]}
    with sync_playwright() as running:
        browser = running.chromium.launch(executable_path=program, **options)
        yield browser
        browser.close()


if __name__ == "__main__":
    main()
