"""The page in a real Chromium."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path
from typing import Literal

import pytest

from tests.web.conftest import TOKEN, Served, free_port
from vsr.streams.ffmpeg.process import find_ffmpeg

pytest.importorskip("playwright.sync_api", reason="playwright is not installed")

from playwright.sync_api import Browser, ConsoleMessage, Page, expect, sync_playwright

pytestmark = pytest.mark.slow

TIMEOUT_MS = 120_000  # as `until`: only a machine with much to do comes near it
REBOUND = "MAP rebound.example 127.0.0.1"


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    program = shutil.which("chromium") or shutil.which("google-chrome")
    if program is None:
        pytest.skip("there is no chromium")
    with sync_playwright() as running:
        browser = running.chromium.launch(
            executable_path=program,
            args=["--no-sandbox", "--no-proxy-server", f"--host-resolver-rules={REBOUND}"],
        )
        yield browser
        browser.close()


def address(served: Served) -> str:
    return f"http://127.0.0.1:{served.port}/?token={TOKEN}"


@pytest.fixture
def long_film(served: Served) -> Path:
    """A film of 200 seconds: restoring it takes longer than a busy browser to react."""
    path = served.folder / "long.mp4"
    words = ["-v", "error", "-stream_loop", "249", "-i", str(served.folder / "first.mp4")]
    subprocess.run([find_ffmpeg(), *words, "-c", "copy", str(path)], check=True)
    return path


@pytest.fixture
def page(chromium: Browser, served: Served) -> Iterator[Page]:
    """The page, logged in. Whatever the browser complains about fails the test."""
    context = chromium.new_context()
    context.set_default_timeout(TIMEOUT_MS)
    expect.set_options(timeout=TIMEOUT_MS)
    complaints: list[str] = []
    page = context.new_page()
    page.on("pageerror", lambda error: complaints.append(str(error)))

    def note(line: ConsoleMessage) -> None:
        if line.type == "error":
            complaints.append(line.text)

    page.on("console", note)
    page.goto(address(served))
    page.wait_for_selector("#films li")
    yield page
    context.close()
    assert complaints == []


def choose(page: Page, name: str = "first.mp4") -> None:
    page.locator("#films button", has_text=name).first.click()
    expect(page.locator("#facts")).to_contain_text("h264")
    page.select_option("[name=model]", "bicubic-x2")


def preview(page: Page) -> None:
    choose(page)
    page.click("#preview")
    page.wait_for_selector("#compare:not([hidden])")
    expect(page.locator("#position")).to_have_text("frame 1 of 18")


def brightness(page: Page) -> list[int]:
    """Red of the canvas's pixels in the middle row."""
    script = """() => {
        const canvas = document.querySelector("#canvas");
        const row = canvas.getContext("2d").getImageData(0, canvas.height / 2, canvas.width, 1);
        return [...row.data].filter((_, i) => i % 4 === 0);
    }"""
    values: list[int] = page.evaluate(script)
    return values


def test_the_list_shows_pictures_and_facts_and_is_searched(page: Page) -> None:
    assert "token" not in page.url
    expect(page.locator("#films small").first).to_contain_text("h264")
    assert page.locator("#films img").first.evaluate("image => image.decode().then(() => true)")
    page.fill("#search", "二")
    assert page.locator("#films li:visible").count() == 1


def test_a_dropped_film_is_listed_and_chosen(page: Page, served: Served) -> None:
    film = (served.folder / "first.mp4").read_bytes()
    page.evaluate(
        """bytes => {
            const transfer = new DataTransfer();
            transfer.items.add(new File([new Uint8Array(bytes)], "dropped <b>.mp4"));
            const event = new DragEvent("drop", { dataTransfer: transfer, bubbles: true });
            document.body.dispatchEvent(event);
        }""",
        list(film),
    )
    expect(page.locator("#film-title")).to_have_text("dropped <b>.mp4")
    assert page.locator("#films .name").first.text_content() == "dropped <b>.mp4"


def test_the_divider_moves_by_keys_and_frames_step(page: Page) -> None:
    preview(page)
    page.focus("#divider")
    page.keyboard.press("End")
    assert page.input_value("#divider") == "100"
    page.keyboard.press("ArrowLeft")
    assert page.input_value("#divider") == "99"
    page.keyboard.press(".")
    expect(page.locator("#position")).to_have_text("frame 2 of 18")
    page.keyboard.press(",")
    page.keyboard.press(",")  # before the first comes the last
    expect(page.locator("#position")).to_have_text("frame 18 of 18")
    page.keyboard.press(".")
    expect(page.locator("#position")).to_have_text("frame 1 of 18")


def test_the_divider_moves_by_mouse_and_touch(page: Page) -> None:
    preview(page)
    box = page.locator("#divider").bounding_box()
    assert box is not None
    middle, down = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(middle, down)
    page.mouse.down()
    page.mouse.move(middle + box["width"] / 4, down, steps=5)
    page.mouse.up()
    at = float(page.input_value("#divider"))
    assert 70 < at < 90
    touch = page.context.new_cdp_session(page)
    for kind, x in (("Start", middle + box["width"] / 4), ("Move", middle), ("End", None)):
        points = [] if x is None else [{"x": x, "y": down}]
        touch.send("Input.dispatchTouchEvent", {"type": f"touch{kind}", "touchPoints": points})
    assert 40 < float(page.input_value("#divider")) < 60


def test_both_sides_of_the_divider_show_the_same_frame(page: Page) -> None:
    preview(page)
    for number in (1, 2, 3):
        expect(page.locator("#position")).to_have_text(f"frame {number} of 18")
        page.fill("#divider", "100")
        before = brightness(page)
        page.fill("#divider", "0")
        after = brightness(page)
        assert max(abs(b - a) for b, a in zip(before, after, strict=True)) < 40
        page.click("#forward")


def test_zoom_shows_one_pixel_as_several(page: Page) -> None:
    preview(page)
    for zoom in (1, 2, 4):
        page.check(f"[name=zoom][value='{zoom}']")
        assert page.locator("#canvas").bounding_box() is not None
        wide = page.locator("#canvas").evaluate("canvas => canvas.getBoundingClientRect().width")
        assert wide == 192 * zoom


def test_a_film_is_restored_through_a_reload_and_in_two_browsers(
    page: Page, chromium: Browser, served: Served
) -> None:
    choose(page)
    page.click("text=Restore the film")
    page.wait_for_selector("#jobs li")
    page.reload()
    other = chromium.new_context().new_page()
    other.goto(f"http://127.0.0.1:{served.port}/?token={TOKEN}")
    for one in (page, other):
        one.wait_for_selector("#jobs li.done", timeout=TIMEOUT_MS)
    shown = page.text_content("#jobs code") or ""
    assert "restored/first.mp4" in shown
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.click("#jobs summary")
    page.click("#jobs >> text=Copy")
    assert page.evaluate("navigator.clipboard.readText()") == shown
    with page.expect_download() as download:
        page.click("#jobs >> text=Download")
    restored = (served.folder / "restored/first.mp4").read_bytes()
    assert download.value.path().read_bytes() == restored
    page.click("#jobs >> text=Compare")
    page.wait_for_selector("#compare:not([hidden])")
    page.click("#jobs >> text=Remove from the list")
    other.wait_for_selector("#jobs li", state="detached", timeout=TIMEOUT_MS)


def press_until(page: Page, key: str, selector: str) -> None:
    """Move the focus by a key to the first element that a selector finds."""
    has_focus = "selector => document.activeElement.matches(selector)"
    for _ in range(100):
        page.keyboard.press(key)
        if page.evaluate(has_focus, selector):
            return
    pytest.fail(f"{key} does not reach {selector}")


def test_the_keyboard_alone_does_everything(page: Page, served: Served) -> None:
    def go(selector: str, *keys: str, backwards: bool = False) -> None:
        press_until(page, "Shift+Tab" if backwards else "Tab", selector)
        for key in keys:
            page.keyboard.press(key)

    go("#search", *"first")
    go("#films button", "Enter")
    expect(page.locator("#film-title")).to_be_focused()
    go("#moment", "ArrowRight")
    go("[name=model]", *"bicubic-x2")
    assert page.input_value("[name=model]") == "bicubic-x2"
    go("#preview", "Enter")
    expect(page.locator("#compare-title")).to_be_focused()
    go("#divider", "ArrowLeft", ".")
    assert page.input_value("#divider") == "49"
    go("[name=zoom]", "ArrowRight")
    assert page.is_checked("[name=zoom][value='1']")
    go("#options button.main", "Enter", backwards=True)
    page.wait_for_selector("#jobs li.done")
    go("#jobs [aria-label^=Compare]", "Enter")
    page.wait_for_selector("#keep:not([hidden])")
    go("#keep-both", "Enter")
    expect(page.locator("#status")).to_have_text("Both stay.")
    go("#jobs summary", "Enter")
    assert page.locator("#jobs code").is_visible()
    go("summary:has(+ #live)", "Enter")
    go("#live [name=film]", "Space")
    assert page.is_checked("#live [name=film]")
    go("#live button.main")


def test_a_real_film_is_previewed_by_keys(page: Page, served: Served, shared: Path) -> None:
    clips = sorted((shared / "data/train/clips").glob("*.mp4"), key=os.path.getsize)
    if not clips:
        pytest.skip("the reference data has no footage")
    shutil.copy(clips[0], served.folder / "real.mp4")
    page.reload()
    press_until(page, "Tab", "#search")
    page.keyboard.type("real")
    press_until(page, "Tab", "#films button")
    page.keyboard.press("Enter")
    expect(page.locator("#film-title")).to_be_focused()
    press_until(page, "Tab", "#moment")
    page.keyboard.press("ArrowRight")
    press_until(page, "Tab", "[name=model]")
    page.keyboard.type("bicubic-x2")
    press_until(page, "Tab", "#preview")
    page.keyboard.press("Enter")
    expect(page.locator("#compare-title")).to_be_focused()
    before = page.locator("#position").text_content()
    press_until(page, "Tab", "#divider")
    page.keyboard.press(".")
    expect(page.locator("#position")).not_to_have_text(str(before))
    page.keyboard.press("Home")
    restored = brightness(page)
    page.keyboard.press("End")
    assert page.input_value("#divider") == "100"
    shown = brightness(page)
    assert len(set(shown)) > 10, "a picture of something"
    assert shown != restored


def test_a_waiting_job_is_cancelled_and_resumed_by_keys(page: Page) -> None:
    choose(page)
    page.focus("text=Restore the film")
    page.keyboard.press("Enter")
    page.focus("#jobs >> text=Cancel")
    page.keyboard.press("Enter")
    page.wait_for_selector("#jobs li.cancelled")
    page.focus("#jobs >> text=Resume")
    page.keyboard.press("Enter")
    page.wait_for_selector("#jobs li.done")
    assert page.locator("#jobs li").count() == 1


@pytest.mark.parametrize("colours", ["light", "dark"])
def test_a_phone_shows_everything_without_scrolling_sideways(
    page: Page, colours: Literal["light", "dark"]
) -> None:
    page.emulate_media(color_scheme=colours)
    page.set_viewport_size({"width": 360, "height": 740})
    preview(page)
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    small = """[...document.querySelectorAll("button, select")].filter(one => {
        const { width, height } = one.getBoundingClientRect();
        return width && (width < 24 || height < 24);
    }).length"""
    assert page.evaluate(small) == 0


def test_every_control_has_a_name(page: Page) -> None:
    preview(page)
    nameless = """[...document.querySelectorAll("button, input, select, a, canvas")].filter(one =>
        one.offsetParent && !(one.ariaLabel || one.textContent.trim() || one.labels?.length)
    ).map(one => one.outerHTML)"""
    assert page.evaluate(nameless) == []


@pytest.mark.parametrize("width", [360, 1280])
def test_axe_finds_nothing(page: Page, width: int) -> None:
    """Rules of WCAG 2.2 AA and best practices, in every state of the page."""
    pytest.importorskip("axe_playwright_python", reason="axe is not installed")
    page.evaluate(files("axe_playwright_python").joinpath("axe.min.js").read_text("utf-8"))
    page.set_viewport_size({"width": width, "height": 740})
    found = violations(page)
    preview(page)
    page.click("text=What will it take?")
    expect(page.locator("#forecast")).to_contain_text("a file of about")
    page.click("text=Suggest settings")
    expect(page.locator("#suggestion")).to_contain_text("Found")
    page.select_option("[name=model]", "bicubic-x2")
    page.click("text=Restore the film")
    page.wait_for_selector("#jobs li.done")
    for summary in page.locator("summary").all():
        summary.click()
    page.fill("#live [name=name]", "yard")
    page.check("#live [name=film]")
    page.click("text=Start the stream")
    page.wait_for_selector("#streams li .state.ended")
    page.locator("#streams summary").click()
    page.evaluate("document.querySelector('#error').hidden = false")
    page.fill("#search", "no such film")
    assert found + violations(page) == []


def violations(page: Page) -> list[str]:
    """What axe finds in light and in dark; it ran in this page."""
    script = """async () => (await axe.run()).violations.flatMap(found =>
        found.nodes.map(one => `${found.impact} ${found.id}: ${one.html} ${one.failureSummary}`))"""
    found: list[str] = []
    colours: tuple[Literal["light", "dark"], ...] = ("light", "dark")
    for one in colours:
        page.emulate_media(color_scheme=one)
        found += page.evaluate(script)
    return found


def test_a_running_job_shows_its_frames_is_paused_and_cancelled_and_keeps_what_is_done(
    page: Page, long_film: Path
) -> None:
    page.reload()
    choose(page, "long.mp4")
    page.click("text=Restore the film")
    expect(page.locator("#jobs .state")).to_contain_text("frame ")
    expect(page.locator("#jobs img:not([hidden])")).to_have_js_property("naturalWidth", 192)
    page.click("#jobs >> text=Pause")
    page.wait_for_selector("#jobs li.paused")
    page.click("#jobs >> text=Resume")
    page.wait_for_selector("#jobs li.running")
    page.click("#jobs >> text=Cancel")
    page.wait_for_selector("#jobs li.cancelled")
    expect(page.locator("#jobs .state")).to_contain_text("can be played")


def test_a_live_stream_is_started_watched_and_stopped(page: Page, long_film: Path) -> None:
    page.reload()
    choose(page, "long.mp4")
    page.click("text=Start a live stream")
    page.fill("#live [name=name]", "yard")
    page.check("#live [name=film]")
    page.select_option("#live [name=model]", "bicubic-x2")
    page.click("text=Start the stream")
    pictures = page.locator("#streams img")
    for which, width in enumerate((96, 192)):
        expect(pictures.nth(which)).to_have_js_property("naturalWidth", width)
    shown = page.locator("#streams").inner_text()
    for part in ("running", "latency, ms", "quality", "yard.mkv"):
        assert part in shown
    assert page.locator("#streams >> text=Prometheus metrics").get_attribute("href")
    page.click("#streams >> text=Stop")
    page.wait_for_selector("#streams li .state.stopped")


def test_the_end_is_told(page: Page) -> None:
    page.context.grant_permissions(["notifications"])
    page.evaluate(
        """() => {
            window.told = [];
            window.Notification = class extends Notification {
                constructor(title, more) { super(title, more); window.told.push(title); }
            };
        }"""
    )
    choose(page)
    page.check("#notify")
    page.click("text=Restore the film")
    page.wait_for_selector("#jobs li.done")
    assert page.evaluate("window.told") == ["first.mp4: done"]


def test_one_of_film_and_result_is_kept(page: Page, served: Served) -> None:
    choose(page)
    page.click("text=Restore the film")
    page.wait_for_selector("#jobs li.done")
    page.click("#jobs >> text=Compare")
    page.click("#keep-result")
    expect(page.locator("#status")).to_contain_text(".vsr-replaced/first.mp4")
    assert not (served.folder / "first.mp4").exists()
    assert (served.folder / ".vsr-replaced/first.mp4").exists()
    assert (served.folder / "restored/first.mp4").exists()
    assert set(served.films()) == {"below/Änderung - 二.mkv", "restored/first.mp4"}


def test_a_thousand_films_large_ones_and_long_names_are_listed(page: Page, served: Served) -> None:
    first = served.folder / "first.mp4"
    for number in range(1000):
        os.link(first, served.folder / f"{number:04} {'ж' * 100} 🎞️.mp4")
    shutil.copy(first, served.folder / "50 GB.mp4")
    os.truncate(served.folder / "50 GB.mp4", 50 * 10**9)
    page.reload()
    expect(page.locator("#films li")).to_have_count(1003)
    page.set_viewport_size({"width": 360, "height": 740})
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    choose(page, "50 GB.mp4")
    expect(page.locator("#facts")).to_contain_text("50.0 GB")
    page.fill("#search", "0999")
    assert page.locator("#films li:visible").count() == 1


def test_a_dropped_film_of_50_gb_is_refused_in_a_sentence(
    chromium: Browser, served: Served, tmp_path: Path
) -> None:
    film = tmp_path / "large.mp4"
    film.touch()
    os.truncate(film, 50 * 10**9)
    with chromium.new_context() as context:
        page = context.new_page()
        page.goto(address(served))
        page.wait_for_selector("#films li")
        page.set_input_files("#file", film)
        expect(page.locator("#error")).to_contain_text("the film has 50.0 GB, more than the limit")
        expect(page.locator("#uploads li")).to_have_count(0)


def test_a_name_with_a_path_stays_in_the_folder(page: Page, served: Served) -> None:
    film = list((served.folder / "first.mp4").read_bytes())
    page.evaluate(
        """bytes => fetch("api/films?name=" + encodeURIComponent("../../up.mp4"),
            { method: "PUT", body: new Uint8Array(bytes) })""",
        film,
    )
    assert "up.mp4" in served.films()
    assert [path.name for path in served.folder.parent.iterdir()] == ["films"]
    assert served.ask("/api/films/..%2F..%2Fup.mp4").status == 404


def test_a_result_is_fetched_in_ranges(page: Page, served: Served) -> None:
    choose(page)
    page.click("text=Restore the film")
    page.wait_for_selector("#jobs li.done")
    job = served.jobs()[0]["id"]
    status, size = page.evaluate(
        """async job => {
            const headers = { Range: "bytes=5-14" };
            const answer = await fetch(`api/jobs/${job}/result`, { headers });
            return [answer.status, (await answer.arrayBuffer()).byteLength];
        }""",
        job,
    )
    assert (status, size) == (206, 10)


def test_pages_from_elsewhere_reach_nothing(chromium: Browser, served: Served) -> None:
    context = chromium.new_context()
    page = context.new_page()
    page.goto(address(served))
    answer = page.goto(address(served).replace("127.0.0.1", "rebound.example"))
    assert answer is not None
    assert answer.status == 403
    page.route("http://other.example/", lambda route: route.fulfill(body="<p>other</p>"))
    page.goto("http://other.example/")
    film = next(iter(served.films().values()))["id"]
    reached = page.evaluate(
        """async ([base, film]) => {
            const ask = (path, more) => fetch(base + path, { credentials: "include", ...more })
                .then(answer => answer.type, error => error.name);
            const post = { method: "POST", body: "{}", mode: "no-cors" };
            return [
                await ask("api/films"),
                await ask(`api/films/${film}/jobs`, post),
            ];
        }""",
        [address(served).partition("?")[0], film],
    )
    assert reached[0] == "TypeError"
    assert served.jobs() == []
    context.close()


@contextmanager
def server(folder: Path, port: int) -> Iterator[subprocess.Popen[bytes]]:
    words = [sys.executable, "-m", "vsr", "web", str(folder), "--port", str(port)]
    environment = {**os.environ, "VSR_WEB_TOKEN": TOKEN}
    with subprocess.Popen(words, env=environment, stdout=subprocess.PIPE) as running:
        assert running.stdout is not None
        running.stdout.readline()  # it answers
        try:
            yield running
        finally:
            running.send_signal(signal.SIGINT)


def test_the_page_continues_when_its_server_is_killed_and_started_again(
    chromium: Browser, films: Path
) -> None:
    port = free_port()
    context = chromium.new_context()
    context.set_default_timeout(TIMEOUT_MS)
    page = context.new_page()
    with server(films, port) as first:
        page.goto(f"http://127.0.0.1:{port}/?token={TOKEN}")
        choose(page)
        page.click("text=Restore the film")
        page.wait_for_selector("#jobs li")
        first.kill()
    expect(page.locator("#error")).to_contain_text("does not answer")
    with server(films, port):
        page.wait_for_selector("#jobs li.done")
        expect(page.locator("#error")).to_be_hidden()
    context.close()
