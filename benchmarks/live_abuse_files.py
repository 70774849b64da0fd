"""Abuses of files, addresses and sources, each on a `vsr live` of its own."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from urllib.request import ProxyHandler, build_opener

import torch

from benchmarks.live_process import LiveProcess, restoring
from tests.live.harness import ffmpeg, free_port, look, serving
from tests.live.test_several import FailsOnWhite
from tests.live.test_tls import encrypted
from tests.media import Clip, write_clip
from tests.networks import moving_clip
from tests.streaming import pieces
from vsr.engine.batch import BatchRestorer
from vsr.types import Chunk

FPS = 25
WATCHED_S = 8.0
LOOP: tuple[str | Path, ...] = ("-re", "-stream_loop", "-1")

Row = tuple[str, Callable[[], tuple[bool, str]]]


class Alone:
    """Abuses that need no server.

    Args:
        clip: A video with sound.
        folder: An empty folder.
        model: A network.
    """

    def __init__(self, clip: Path, folder: Path, model: str) -> None:
        self._clip, self._folder, self._words = clip, folder, ["-m", model]

    def rows(self) -> Iterator[Row]:
        """What is tried, and how."""
        yield "a server that nobody vouches for (https)", self._tls
        yield "an ffconcat and a playlist named .mp4", self._disguised
        yield "a playlist over http that leads to a file", self._to_a_file
        yield "links where files are written, umask, SIGHUP", self._links
        yield "a source of 4096x4096 beside another one", self._pixels
        yield "a source that stood still and catches up", self._lead
        yield "an error of one stream of a batch", self._batch
        yield "a sink that refuses for 20 s", self._noise

    def _vsr(self, *words: str | Path) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "vsr", "live", *map(str, words), *self._words]
        environment = os.environ | {"no_proxy": "127.0.0.1"}
        return subprocess.run(
            command, capture_output=True, text=True, check=False, env=environment, timeout=120
        )

    def _tls(self) -> tuple[bool, str]:
        site, program = self._folder / "site", shutil.which("openssl")
        if program is None:
            return False, "no openssl to make a certificate with"
        site.mkdir()
        shutil.copy(self._clip, site / "clip.mp4")
        certificate = self._folder / "cert.pem"
        words = ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"]
        words += ["-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1"]
        words += ["-keyout", str(self._folder / "key.pem"), "-out", str(certificate)]
        subprocess.run([program, *words], check=True, capture_output=True)
        with (
            serving(site) as address,
            encrypted(int(address.rpartition(":")[2]), certificate) as port,
        ):
            source, once = f"https://127.0.0.1:{port}/clip.mp4", ["--retries", "0"]
            refused = self._vsr(source, self._folder / "none.mkv", *once)
            trusted = self._vsr(
                source, self._folder / "tls.mkv", *once, "--ca-file", certificate, "--check"
            )
            loud = self._vsr(source, self._folder / "tls.mkv", *once, "--insecure", "--check")
        holds = refused.returncode == 1 and not (self._folder / "none.mkv").exists()
        taken = ["source: https" in one.stdout and "ok" in one.stdout for one in (trusted, loud)]
        return holds and all(taken), f"refused: {holds}, by --ca-file and --insecure: {taken}"

    def _disguised(self) -> tuple[bool, str]:
        secret = shutil.copy(self._clip, self._folder / "secret.mp4")
        disguises = {
            "concat.mp4": f"ffconcat version 1.0\nfile '{secret}'\n",
            "list.mp4": f"#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\n{secret}\n#EXT-X-ENDLIST\n",
        }
        codes = []
        for name, text in disguises.items():
            (self._folder / name).write_text(text)
            codes.append(self._vsr(self._folder / name, self._folder / "none.mkv").returncode)
        written = (self._folder / "none.mkv").exists()
        return codes == [1, 1] and not written, f"exit codes {codes}, anything written: {written}"

    def _to_a_file(self) -> tuple[bool, str]:
        site = self._folder / "lists"
        site.mkdir()
        lines = f"#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\nfile://{self._clip}\n"
        (site / "list.m3u8").write_text(f"{lines}#EXT-X-ENDLIST\n")
        with serving(site) as address:
            done = self._vsr(f"{address}/list.m3u8", self._folder / "none.mkv", "--retries", "0")
        written = (self._folder / "none.mkv").exists()
        return done.returncode == 1 and not written, f"exit code {done.returncode}"

    def _links(self) -> tuple[bool, str]:
        shared, precious = self._folder / "shared", self._folder / "precious"
        shared.mkdir()
        precious.write_text("precious")
        for name in (".out.part.mkv", ".out.trial.mkv"):
            (shared / name).symlink_to(precious)
        source = f"udp://127.0.0.1:{free_port()}"
        before = os.umask(0o027)
        # Under nohup the program would ignore SIGHUP as this one does.
        ignored = signal.signal(signal.SIGHUP, signal.SIG_DFL)
        try:
            with (
                ffmpeg(*LOOP, "-i", self._clip, "-c", "copy", "-f", "mpegts", source),
                restoring([source, str(shared / "out.mkv"), *self._words]) as running,
            ):
                _wait_for(running, "vsr_frames_out_total", 2 * FPS)
                running.process.send_signal(signal.SIGHUP)
                with suppress(subprocess.TimeoutExpired):  # its exit code is none then
                    running.process.wait(timeout=60)
                code = running.process.returncode
        finally:
            os.umask(before)
            signal.signal(signal.SIGHUP, ignored)
        left = [path.name for path in shared.iterdir()]
        if left != ["out.mkv"]:
            return False, f"files {left}, exit code {code}"
        mode = (shared / "out.mkv").stat().st_mode & 0o777
        whole = len(look(shared / "out.mkv").times) >= FPS
        holds = precious.read_text() == "precious" and left == ["out.mkv"] and mode == 0o640
        return holds and whole and code == 0, f"files {left}, mode {mode:o}, exit code {code}"

    def _pixels(self) -> tuple[bool, str]:
        large = write_clip(self._folder / "large.mp4", Clip(num_frames=3, width=4096, height=4096))
        ports = [free_port() for _ in range(4)]
        streams = self._folder / "streams.toml"
        streams.write_text(
            "".join(
                f'[[stream]]\nname = "{name}"\nsource = "udp://127.0.0.1:{ports[2 * i]}"\n'
                f'target = "udp://127.0.0.1:{ports[2 * i + 1]}"\n'
                for i, name in enumerate(("small", "large"))
            )
        )
        to = [("-c", "copy", "-f", "mpegts", f"udp://127.0.0.1:{ports[i]}") for i in (0, 2)]
        with ExitStack() as stack:
            stack.enter_context(ffmpeg(*LOOP, "-i", self._clip, *to[0]))
            running = stack.enter_context(restoring(["--streams", str(streams), *self._words]))
            _wait_for(running, "vsr_frames_out_total", FPS, "small")
            before_mib = running.resident_mib()
            stack.enter_context(ffmpeg(*LOOP, "-i", large, *to[1]))
            rate = _rate(running, "small")
            more_mib = running.resident_mib() - before_mib
            frames = _figures(running)["large"]["frames_in"]
            running.terminate()
        holds = rate > 0.95 * FPS and frames == 0 and more_mib < 500
        return holds, f"{rate:.1f} frames/s beside it, {frames} taken, {more_mib:+.0f} MiB"

    def _lead(self) -> tuple[bool, str]:
        source, target = (f"udp://127.0.0.1:{free_port()}" for _ in range(2))
        with (
            ffmpeg(*LOOP, "-i", self._clip, "-c", "copy", "-f", "mpegts", source) as publisher,
            restoring([source, target, *self._words]) as running,
        ):
            _wait_for(running, "vsr_frames_out_total", 8 * FPS)
            publisher.send_signal(signal.SIGSTOP)
            time.sleep(6)
            publisher.send_signal(signal.SIGCONT)
            leads, until = [], time.monotonic() + WATCHED_S
            while time.monotonic() < until:
                leads.append(_figures(running)["live"]["lead_ms"] / 1000)
                time.sleep(0.1)
            running.terminate()
        return max(leads) <= 1.1, f"ahead of the wall clock by {max(leads):.2f} s at most"

    def _batch(self) -> tuple[bool, str]:
        batch = BatchRestorer(FailsOnWhite(scale=2), chunk=2, device="cpu", precision="float32")
        clips = {"a": moving_clip(4, 16, 16, 1), "b": moving_clip(4, 16, 16, 2)}
        clips["white"] = torch.ones_like(clips["a"])
        batch.add({key: pieces(clip, 2)[0] for key, clip in clips.items()})
        outcomes = batch.try_step()
        well = [key for key, outcome in outcomes.items() if isinstance(outcome, Chunk)]
        return well == ["a", "b"], f"restored {well} beside one that failed"

    def _noise(self) -> tuple[bool, str]:
        target = f"rtmp://127.0.0.1:{free_port()}/app/s3cret"
        source = f"udp://127.0.0.1:{free_port()}"
        command = [sys.executable, "-m", "vsr", "live", source, target, *self._words, "--quiet"]
        with (
            ffmpeg(*LOOP, "-i", self._clip, "-c", "copy", "-f", "mpegts", source),
            subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process,
        ):
            ending = threading.Timer(20, process.terminate)
            ending.start()
            said = process.communicate(timeout=60)[1]
        lines, secrets = said.splitlines(), said.count("s3cret")
        return len(lines) <= 5 and not secrets, f"{len(lines)} lines, {secrets} secrets"


def _figures(running: LiveProcess) -> dict[str, dict[str, float]]:
    """Figures of every stream by its name."""
    with build_opener(ProxyHandler({})).open(f"{running.page}figures.json") as answer:
        return {one["name"]: one for one in json.loads(answer.read())}


def _wait_for(running: LiveProcess, metric: str, least: float, stream: str = "live") -> None:
    key = metric.removeprefix("vsr_").removesuffix("_total")
    until = time.monotonic() + 60
    while _figures(running)[stream][key] < least and time.monotonic() < until:
        time.sleep(0.05)


def _rate(running: LiveProcess, stream: str) -> float:
    before, began = _figures(running)[stream]["frames_out"], time.monotonic()
    time.sleep(WATCHED_S)
    left = _figures(running)[stream]["frames_out"] - before
    return left / (time.monotonic() - began)
