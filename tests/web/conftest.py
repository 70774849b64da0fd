"""A server on loopback, asked as browsers and programs ask."""

from __future__ import annotations

import http.client
import json
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.media import Clip, write_clip

pytest.importorskip("starlette", reason="the extra web is not installed")
pytest.importorskip("uvicorn", reason="the extra web is not installed")

import uvicorn

from vsr.web.app import make_app
from vsr.web.server import ServerOptions, make_site

TOKEN = "secret"
QUICK = {"model": "bicubic-x2"}


def until(condition: Callable[[], object], timeout_s: float = 120) -> None:
    """Wait for other processes."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "it never happened"
        time.sleep(0.05)


def free_port() -> int:
    """A port that nothing listens at."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port: int = taken.getsockname()[1]
    return port


@dataclass(frozen=True)
class Answer:
    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass(frozen=True)
class Served:
    """A running server and its folder."""

    port: int
    folder: Path

    def ask(
        self,
        path: str,
        method: str = "GET",
        *,
        body: bytes | None = None,
        token: str | None = TOKEN,
        **headers: str,
    ) -> Answer:
        """One request; ``_`` in names of headers stands for ``-``."""
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        if token is not None:
            sent["Authorization"] = f"Bearer {token}"
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=120)
        try:
            connection.request(method, path, body, sent)
            answer = connection.getresponse()
            return Answer(
                answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read()
            )
        finally:
            connection.close()

    def post(self, path: str, content: object = None) -> Answer:
        return self.ask(path, "POST", body=json.dumps({} if content is None else content).encode())

    def films(self) -> dict[str, dict[str, Any]]:
        return {film["name"]: film for film in self.ask("/api/films").json["films"]}

    def jobs(self) -> list[dict[str, Any]]:
        jobs: list[dict[str, Any]] = self.ask("/api/jobs").json["jobs"]
        return jobs


@pytest.fixture
def films(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A folder with a film, a hidden one, and one in a folder below."""
    folder = tmp_path / os.fsdecode(getattr(request, "param", "films"))
    (folder / "below").mkdir(parents=True)
    write_clip(folder / "first.mp4", Clip(num_frames=20))
    for name in (".hidden.mp4", "below/Änderung - 二.mkv"):
        (folder / name).write_bytes((folder / "first.mp4").read_bytes())
    return folder


@pytest.fixture
def served(films: Path) -> Iterator[Served]:
    options = ServerOptions(folder=films, max_upload_bytes=10**6)
    state = films / "restored" / ".vsr-web"
    state.mkdir(parents=True)
    app = make_app(make_site(options, state), token=TOKEN)
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="error", lifespan="on"))
    thread = threading.Thread(target=server.run)
    thread.start()
    until(lambda: server.started)
    yield Served(server.servers[0].sockets[0].getsockname()[1], films)
    server.should_exit = True
    thread.join()
