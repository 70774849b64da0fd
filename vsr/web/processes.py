"""Short processes behind a request: previews, comparisons and estimates."""

from __future__ import annotations

import asyncio
import json
import os
import re
import secrets
import shutil
import signal
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from vsr.web.errors import RequestError
from vsr.web.options import Options
from vsr.web.process_folder import PROGRAM, is_id

PREVIEW_S = 2.0

ASSESS_S = 6.0
"""Length of the part that is assessed."""

KEPT_VIDEOS = 20
"""Previews that stay on the disk: a page shows its last one."""

LOOK_EVERY_S = 0.2

Gone = Callable[[], Awaitable[bool]]
"""Whether the request has been cancelled."""


class Processes:
    """Runs one process at a time, and ends it when its request is cancelled.

    Args:
        folder: Folder of the videos.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        for left in folder.iterdir():  # by a server that was killed
            if not (is_id(left.stem) and left.suffix == ".mp4"):
                shutil.rmtree(left, ignore_errors=True) if left.is_dir() else left.unlink()
        self._folder = folder
        self._turn = asyncio.Semaphore(1)

    async def preview(
        self, source: str, at_s: float, options: Options, is_gone: Gone
    ) -> dict[str, Any]:
        """Restore two seconds of a film and show them beside the input.

        Returns:
            Fields of ``side_by_side.SideBySide``, and the ``id`` of the video.

        Raises:
            RequestError: The process failed, for the reason given in one line.
        """
        return await self._show(source, at_s, is_gone, options=asdict(options))

    async def compare(
        self, source: str, restored: str, at_s: float, is_gone: Gone
    ) -> dict[str, Any]:
        """Show two seconds of a film beside the finished result; returns as ``preview``."""
        return await self._show(source, at_s, is_gone, restored=restored, options={})

    async def estimate(self, source: str, words: Sequence[str], is_gone: Gone) -> dict[str, Any]:
        """Size, memory and time of a restoration: fields of ``vsr.offline.estimate.Estimate``."""
        command = [*PROGRAM, "restore", source, "null", *words]
        return await self._run([*command, "--dry-run", "--json"], is_gone)

    async def assess(self, source: str, at_s: float, is_gone: Gone) -> dict[str, Any]:
        """Assess ``ASSESS_S`` seconds of a film: what ``vsr assess --json`` prints."""
        command = [*PROGRAM, "assess", source, "--json"]
        return await self._run(
            [*command, "--start", f"{at_s}", "--end", f"{at_s + ASSESS_S}"], is_gone
        )

    def video(self, video_id: str) -> Path:
        """Path of a video.

        Raises:
            RequestError: There is none with this id any more.
        """
        path = self._folder / f"{video_id}.mp4"
        if not re.fullmatch(r"[0-9a-f]{16}", video_id) or not path.is_file():
            raise RequestError("this preview is not here any more; make it again", 404)
        return path

    async def _show(self, source: str, at_s: float, is_gone: Gone, **more: Any) -> dict[str, Any]:
        video_id = secrets.token_hex(8)
        self._forget_old()
        with TemporaryDirectory(dir=self._folder, ignore_cleanup_errors=True) as folder:
            target = Path(folder, "video.mp4")
            request = {"source": source, "target": str(target), "start_s": at_s} | more
            words = json.dumps({**request, "seconds": PREVIEW_S})
            answer = await self._run([*PROGRAM, "side-by-side", words], is_gone)
            target.rename(self._folder / f"{video_id}.mp4")
        return {"id": video_id, **answer}

    async def _run(self, command: Sequence[str], is_gone: Gone) -> dict[str, Any]:
        async with self._turn:
            process = await asyncio.create_subprocess_exec(
                *command,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                start_new_session=True,
            )
            answer = asyncio.create_task(process.communicate())
            try:
                while not (await asyncio.wait({answer}, timeout=LOOK_EVERY_S))[0]:
                    if await is_gone():
                        raise RequestError("the request was cancelled", 499)
                out, err = await answer
            finally:
                answer.cancel()
                if process.returncode is None:
                    with suppress(ProcessLookupError):
                        os.killpg(process.pid, signal.SIGKILL)  # and the encoders that it started
                    await process.wait()
        if process.returncode:
            lines = err.decode(errors="replace").strip().splitlines()
            raise RequestError((lines or ["the process was killed"])[-1].removeprefix("vsr: "), 422)
        answered: dict[str, Any] = json.loads(out)
        return answered

    def _forget_old(self) -> None:
        videos = sorted(self._folder.glob("*.mp4"), key=lambda path: path.stat().st_mtime)
        for path in videos[: -KEPT_VIDEOS + 1]:
            path.unlink(missing_ok=True)
