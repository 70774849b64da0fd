"""A real browser without a screen, driven over a pipe by Chromium's DevTools protocol."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any, Self

BROWSERS = ("chromium", "chromium-browser", "google-chrome")


def find_browser() -> str | None:
    return next(filter(None, map(shutil.which, BROWSERS)), None)


class Browser:
    """One page. The protocol's messages end in a zero byte; they go in at 3 and come out at 4."""

    def __init__(self, program: str, profile: Path) -> None:
        heard, say = os.pipe()
        listen, said = os.pipe()
        words = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
        words += ["--no-proxy-server", f"--user-data-dir={profile}", "--remote-debugging-pipe"]
        self._process = subprocess.Popen(
            ["bash", "-c", f'exec "$0" "$@" 3<&{heard} 4>&{said}', program, *words],
            pass_fds=(heard, said),
            stderr=subprocess.DEVNULL,
        )
        os.close(heard)
        os.close(said)
        self._say, self._listen = os.fdopen(say, "wb"), os.fdopen(listen, "rb")
        self._number = 0
        page = self._call("Target.createTarget", url="about:blank")["targetId"]
        attached = self._call("Target.attachToTarget", targetId=page, flatten=True)
        self._session: str | None = attached["sessionId"]

    def open(self, address: str) -> None:
        self._call("Page.navigate", url=address)

    def evaluate(self, expression: str) -> Any:
        """The value of an expression in the page."""
        done = self._call("Runtime.evaluate", expression=expression, returnByValue=True)
        assert "exceptionDetails" not in done, done
        return done["result"]["value"]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self._process.kill()
        self._process.wait()
        self._say.close()
        self._listen.close()

    def _call(self, method: str, **arguments: Any) -> dict[str, Any]:
        self._number += 1
        message = {"id": self._number, "method": method, "params": arguments}
        if session := getattr(self, "_session", None):
            message["sessionId"] = session
        self._say.write(json.dumps(message).encode() + b"\0")
        self._say.flush()
        while (answer := self._next()).get("id") != self._number:
            pass
        assert "error" not in answer, answer
        result: dict[str, Any] = answer["result"]
        return result

    def _next(self) -> dict[str, Any]:
        read = bytearray()
        while (byte := self._listen.read(1)) != b"\0":
            assert byte, "the browser has ended"
            read += byte
        answer: dict[str, Any] = json.loads(read)
        return answer
