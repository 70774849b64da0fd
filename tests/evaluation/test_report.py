"""The report as a browser shows it."""

from __future__ import annotations

import html
import json
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.command_line import Run
from tests.evaluation.eval_trees import write_textured_pair
from tests.networks import basicvsr
from vsr.evaluation.html import line_chart
from vsr.models.checkpoints.checkpoint import save_network

BROWSERS = ("chromium", "chromium-browser", "google-chrome")

PROBE = """
addEventListener("load", () => {
  const found = {
    images: [...document.images].map(i => [i.naturalWidth, i.naturalHeight, i.alt]),
    ground: getComputedStyle(document.body).backgroundColor,
    ink: getComputedStyle(document.body).color,
    line: getComputedStyle(document.querySelector("polyline")).stroke,
    charts: [...document.querySelectorAll("svg")].map(s => s.getBoundingClientRect().width),
    width: innerWidth,
    scrollWidth: document.documentElement.scrollWidth,
    text: document.body.innerText,
    sources: performance.getEntriesByType("resource").map(r => r.name.slice(0, 40)),
  };
  parent.document.getElementById("found").textContent = JSON.stringify(found);
});
"""

CLIPS = {"a": 6, "b": 4}


@dataclass(frozen=True)
class Browser:
    """A browser without a screen."""

    program: str
    folder: Path

    def open(self, page: Path, *, width: int, dark: bool = False) -> dict[str, Any]:
        """Show a page in a frame of a width, and ask it how it looks."""
        source = page.read_text().replace("</body>", f"<script>{PROBE}</script></body>")
        frame = self.folder / "frame.html"
        frame.write_text(
            f'<pre id="found"></pre><iframe width="{width}" height="800" '
            f'srcdoc="{html.escape(source)}"></iframe>'
        )
        command = [
            *(self.program, "--headless", "--no-sandbox", "--disable-gpu"),
            *("--disable-dev-shm-usage", f"--user-data-dir={self.folder / 'profile'}"),
            *("--host-resolver-rules=MAP * ~NOTFOUND", "--virtual-time-budget=20000"),
            f"--blink-settings=preferredColorScheme={0 if dark else 1}",
            *("--dump-dom", frame.as_uri()),
        ]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
        (text,) = re.findall(r'<pre id="found">(.*?)</pre>', done.stdout, re.DOTALL)
        found: dict[str, Any] = json.loads(html.unescape(text))
        return found


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Browser:
    found = next(filter(None, map(shutil.which, BROWSERS)), None)
    if found is None:
        pytest.skip("no Chromium on this machine; apt-get install chromium")
    return Browser(found, tmp_path_factory.mktemp("browser"))


@pytest.fixture
def report(vsr: Run, tmp_path: Path) -> Path:
    """A page on two clips, streamed and whole."""
    root = write_textured_pair(tmp_path / "pair", CLIPS)
    save_network(basicvsr(), tmp_path / "small.safetensors")
    words = ["--gt", root / "GT", "--lq", root / "LQ", "--metrics", "tof,warp", "--whole-clip"]
    target = tmp_path / "report"
    done = vsr(
        *("eval", *words, "--streamed", "-m", tmp_path / "small.safetensors", "--report", target)
    )
    assert done.code == 0, done.err
    return target / "index.html"


@pytest.mark.parametrize("width", [360, 1200])
def test_a_browser_shows_every_part_without_a_network_and_without_scrolling_sideways(
    width: int, report: Path, browser: Browser
) -> None:
    seen = browser.open(report, width=width)
    assert seen["width"] == width
    assert seen["scrollWidth"] <= width
    # Input, two outputs and ground truth, each as a detail and as a profile.
    assert len(seen["images"]) == len(CLIPS) * 4 * 2
    for natural_width, natural_height, text in seen["images"]:
        assert natural_width == 64, text
        assert natural_height == (CLIPS[text[-1]] if "profile" in text else 48), text
    assert len(seen["charts"]) == len(CLIPS) * 2
    assert min(seen["charts"]) > 300
    assert [source for source in seen["sources"] if not source.startswith("data:")] == []
    for part in (
        *("Scores", "mean", "PSNR-Y", "loss dB", "tOF", "Next to published figures"),
        *(
            "of every frame",
            "Lost by streaming on every frame",
            "Pictures",
            "ground truth",
            "restored, whole",
            "Time and memory",
        ),
        *(
            "peak MiB",
            "To repeat it",
            "vsr eval --gt",
            "look ahead",
            "torch",
            "weights sha256",
            "threads",
        ),
    ):
        assert part in seen["text"], part


def test_the_page_is_light_or_dark_as_the_reader_likes_it(report: Path, browser: Browser) -> None:
    light, dark = (browser.open(report, width=800, dark=dark) for dark in (False, True))
    assert brightness(light["ground"]) > 200
    assert brightness(light["ink"]) < 60
    assert brightness(dark["ground"]) < 60
    assert brightness(dark["ink"]) > 200
    assert brightness(light["line"]) < brightness(dark["line"])


def brightness(colour: str) -> float:
    return sum(map(float, re.findall(r"[\d.]+", colour)[:3])) / 3


def test_names_from_the_disk_cannot_break_the_page(vsr: Run, tmp_path: Path) -> None:
    root = write_textured_pair(tmp_path / "pair", {"a<b>&": 2})
    words = ["eval", "--gt", root / "GT", "-m", "bicubic-x4", "--report", tmp_path / "report"]
    assert vsr(*words).code == 0
    page = (tmp_path / "report" / "index.html").read_text()
    assert "a&lt;b&gt;&amp;" in page
    assert "a<b>" not in page


def test_a_chart_has_round_ticks_around_its_values_and_leaves_gaps_out() -> None:
    chart = line_chart(
        {"streamed": [23.1, None, 24.9, float("inf")]}, names="abcd", unit="dB", label="x"
    )
    assert re.findall(r">(2\d(?:\.\d)?)</text>", chart) == ["23", "24", "25"]
    assert re.findall(r"<title>(.*?)</title>", chart) == [
        "a, streamed: 23.100 dB",
        "c, streamed: 24.900 dB",
    ]
    heights = [float(y) for y in re.findall(r'cy="([\d.]+)"', chart)]
    assert 0 < heights[1] < heights[0] < 200
    assert "no finite value" in line_chart({"a": [None]}, names="a", unit="dB", label="x")
    assert "<circle" in line_chart({"a": [1.0]}, names="a", unit="dB", label="x")
