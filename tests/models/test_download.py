"""Official files: fetched from a real server, checked, kept, and used without one."""

from __future__ import annotations

import hashlib
import socket
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from tests.mirror import Mirror
from tests.networks import basicvsr
from vsr.errors import CheckpointError, ConfigurationError, DownloadError
from vsr.models.architecture_table import ARCHITECTURES, build_network
from vsr.models.catalogue import MODELS
from vsr.models.checkpoints import download
from vsr.models.checkpoints.cache import cache_folder, cached_path, part_of
from vsr.models.checkpoints.model import HASH_DIGITS, Model, OfficialFile
from vsr.models.checkpoints.pull import pull
from vsr.models.checkpoints.zoo import OFFICIAL
from vsr.models.loading import load_network

CONTENT = bytes(range(256)) * 1024


def official_file(content: bytes, *, digits: int = HASH_DIGITS) -> OfficialFile:
    """A file named as official ones are, on a server that is not there."""
    sha256 = hashlib.sha256(content).hexdigest()
    name = f"net-{sha256[:8]}.pth"
    base = "http://127.0.0.1:1/"
    return OfficialFile(name=name, sha256=sha256[:digits], base=base, path=f"network/{name}")


FILE = official_file(CONTENT)


@pytest.fixture(autouse=True)
def served(mirror: Mirror, cache: Path) -> None:
    mirror.files[FILE.path] = CONTENT


def leave_part(content: bytes) -> Path:
    """What a cut connection left."""
    part = part_of(cached_path(FILE))
    part.parent.mkdir()
    part.write_bytes(content)
    return part


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_file_arrives_whole_and_says_how_far_it_is(mirror: Mirror, cache: Path) -> None:
    steps: list[tuple[int, int | None]] = []
    path = pull(FILE, mirror=mirror.address, on_progress=lambda *step: steps.append(step))
    assert path == cache / FILE.name
    assert path.read_bytes() == CONTENT
    assert names(cache) == [FILE.name]
    assert [done for done, _ in steps] == sorted({done for done, _ in steps})
    assert steps[-1] == (len(CONTENT), len(CONTENT))


def test_after_a_cut_only_the_rest_is_fetched(mirror: Mirror, cache: Path) -> None:
    mirror.cut_after = 100_000
    with pytest.raises(DownloadError, match=r"was cut \(100000 of 262144 bytes came\); pull again"):
        pull(FILE, mirror=mirror.address)
    assert names(cache) == [f"{FILE.name}.part"]
    mirror.cut_after = None
    steps: list[tuple[int, int | None]] = []
    path = pull(FILE, mirror=mirror.address, on_progress=lambda *step: steps.append(step))
    assert path.read_bytes() == CONTENT
    assert names(cache) == [FILE.name]
    assert mirror.ranges == [None, "bytes=100000-"]
    assert mirror.bytes_sent == len(CONTENT)
    assert steps[0][0] > 100_000
    assert steps[-1] == (len(CONTENT), len(CONTENT))


def test_a_server_without_ranges_sends_it_all_again(mirror: Mirror) -> None:
    leave_part(CONTENT[:1000])
    mirror.has_ranges = False
    assert pull(FILE, mirror=mirror.address).read_bytes() == CONTENT
    assert mirror.bytes_sent == len(CONTENT)


def test_a_part_that_is_whole_already_is_taken(mirror: Mirror, cache: Path) -> None:
    leave_part(CONTENT)
    assert pull(FILE, mirror=mirror.address).read_bytes() == CONTENT
    assert mirror.bytes_sent == 0
    assert names(cache) == [FILE.name]


@pytest.mark.parametrize("left", [b"", b"rubbish", CONTENT + b"more"])
def test_wrong_content_is_removed_and_the_next_pull_starts_over(
    left: bytes, mirror: Mirror, cache: Path
) -> None:
    leave_part(left)
    if not left:
        mirror.files[FILE.path] = b"a page that asks to log in"
    with pytest.raises(DownloadError, match=f"not {FILE.sha256}; it was removed"):
        pull(FILE, mirror=mirror.address)
    assert names(cache) == []
    mirror.files[FILE.path] = CONTENT
    assert pull(FILE, mirror=mirror.address).read_bytes() == CONTENT


def unknown(mirror: Mirror) -> str:
    return f"{mirror.address}/elsewhere"


def closed(mirror: Mirror) -> str:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return f"http://127.0.0.1:{listener.getsockname()[1]}"


def nameless(mirror: Mirror) -> str:
    return "http://"


@pytest.mark.parametrize(
    ("address", "said"),
    [(unknown, "404 Not Found"), (closed, "cannot be reached"), (nameless, "cannot be reached")],
)
def test_a_failed_download_gives_one_line_and_leaves_nothing(
    address: Callable[[Mirror], str], said: str, mirror: Mirror, cache: Path
) -> None:
    with pytest.raises(DownloadError, match=said) as caught:
        pull(FILE, mirror=address(mirror))
    assert "\n" not in str(caught.value)
    assert "--mirror" in str(caught.value)
    assert names(cache) == []


def test_a_silent_server_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(download, "TIMEOUT_S", 0.05)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = f"http://127.0.0.1:{listener.getsockname()[1]}"
        with pytest.raises(DownloadError, match=r"cannot be reached \(timed out\)"):
            pull(FILE, mirror=address)


def test_a_mirror_has_to_be_an_address() -> None:
    with pytest.raises(ConfigurationError, match="give http"):
        pull(FILE, mirror="/srv/mirror")


def test_a_folder_that_cannot_be_written_gives_one_line(mirror: Mirror, cache: Path) -> None:
    cache.write_text("a file where the folder should be")
    with pytest.raises(DownloadError, match="VSR_HOME") as caught:
        pull(FILE, mirror=mirror.address)
    assert "\n" not in str(caught.value)


def test_verified_files_are_not_fetched_again_unless_forced(mirror: Mirror) -> None:
    path = pull(FILE, mirror=mirror.address)
    assert pull(FILE, mirror="http://127.0.0.1:1") == path
    assert len(mirror.ranges) == 1
    path.write_bytes(b"damaged")
    assert pull(FILE, mirror=mirror.address).read_bytes() == CONTENT
    pull(FILE, mirror=mirror.address, force=True)
    assert mirror.ranges == [None, None, None]


@pytest.mark.skipif(sys.platform != "linux", reason="other platforms have other folders")
def test_the_cache_is_where_the_platform_keeps_such_things(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("VSR_HOME")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder() == tmp_path / "vsr"


def test_a_pulled_network_loads_with_no_server(
    monkeypatch: pytest.MonkeyPatch, mirror: Mirror, tmp_path: Path
) -> None:
    weights = basicvsr().state_dict()
    torch.save({"params": weights}, tmp_path / "tiny.pth")
    content = (tmp_path / "tiny.pth").read_bytes()
    file = official_file(content)
    tiny = Model(architecture="basicvsr", summary="", needs_weights=True, releases=((file,),))
    monkeypatch.setitem(MODELS, "tiny", tiny)
    with pytest.raises(CheckpointError, match="`vsr models pull tiny`"):
        load_network("tiny")
    mirror.files[file.path] = content
    pull(file, mirror=mirror.address)
    mirror.files.clear()
    loaded = load_network("tiny").state_dict()
    assert all(torch.equal(loaded[key], value) for key, value in weights.items())


@pytest.mark.parametrize("name", OFFICIAL)
def test_an_official_file_is_known_by_its_hash_and_has_a_home(name: str) -> None:
    for file in (file for release in OFFICIAL[name].releases for file in release):
        digits = len(file.sha256)
        assert digits in (8, HASH_DIGITS)
        assert len(bytes.fromhex(file.sha256)) == digits // 2
        assert file.homes
        if digits == 8:
            assert file.name.endswith(f"-{file.sha256}.pth"), "all that its authors publish"


def test_the_whole_hash_is_told_where_a_part_is_published(
    mirror: Mirror, caplog: pytest.LogCaptureFixture
) -> None:
    file = official_file(CONTENT, digits=8)
    pull(file, mirror=mirror.address)
    assert hashlib.sha256(CONTENT).hexdigest() in caplog.text


def names_of_networks() -> list[list[str]]:
    """Names of the catalogue with weights, grouped by architecture and options."""
    alike: dict[str, list[str]] = {}
    for name, model in MODELS.items():
        if model.parameters:
            key = f"{model.architecture} {model.options} {model.weights}"
            alike.setdefault(key, []).append(name)
    return list(alike.values())


@pytest.mark.parametrize("names", names_of_networks(), ids=lambda names: names[0])
def test_the_catalogue_says_what_the_network_is(names: list[str]) -> None:
    model = MODELS[names[0]]
    assert model.architecture in ARCHITECTURES
    if model.weights is None:
        with torch.device("meta"):
            network = build_network(model.architecture, model.options)
    else:
        network = load_network(names[0])
    parameters = sum(parameter.numel() for parameter in network.parameters())
    for name in names:
        assert (MODELS[name].scale, MODELS[name].parameters) == (network.facts.scale, parameters)
