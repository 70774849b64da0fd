from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.live.harness import NO_SERVER, Server, has_server
from tests.media import Clip, write_clip


@pytest.fixture(scope="session")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two seconds with sound; a key frame every ten."""
    return write_clip(
        tmp_path_factory.mktemp("live") / "clip.mp4", Clip(num_frames=50, audio="aac")
    )


@pytest.fixture(scope="session")
def long_clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five seconds, likewise."""
    path = tmp_path_factory.mktemp("live") / "long.mp4"
    return write_clip(path, Clip(num_frames=125, audio="aac"))


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    if not has_server():
        pytest.skip(NO_SERVER)
    folder = tmp_path / "server"
    folder.mkdir()
    server = Server(folder)
    server.start()
    yield server
    server.stop()
