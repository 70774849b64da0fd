"""Films, uploads, previews and results as the page asks for them."""

from __future__ import annotations

import asyncio
import fcntl
import os
import socket
import sys
from io import BytesIO
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from PIL import Image

from tests.command_line import Run
from tests.media import Clip, write_clip
from tests.web.conftest import QUICK, Served, until
from vsr.streams import open_reader
from vsr.web.errors import RequestError
from vsr.web.options import Options
from vsr.web.probe import _keep
from vsr.web.processes import Processes
from vsr.web.uploads import Uploads


def test_films_are_listed_with_length_size_codec_and_picture(served: Served) -> None:
    films = served.films()
    assert set(films) == {"first.mp4", "below/Änderung - 二.mkv"}
    film = films["first.mp4"]
    assert film["size"] == (served.folder / "first.mp4").stat().st_size
    facts = served.ask(f"/api/films/{film['id']}").json
    assert facts == {"codec": "h264", "width": 96, "height": 72, "seconds": 0.8, "fps": 25.0}
    for query in ("", "?at=0.4"):
        picture = served.ask(f"/api/films/{film['id']}/picture{query}")
        assert picture.headers["content-type"] == "image/jpeg"
        with Image.open(BytesIO(picture.body)) as decoded:
            assert decoded.size == (96, 72)


def test_links_out_of_the_folder_and_paths_lead_nowhere(served: Served, tmp_path: Path) -> None:
    secret = write_clip(tmp_path / "secret.mp4", Clip(num_frames=2))
    (served.folder / "link.mp4").symlink_to(secret)
    (served.folder / "out").symlink_to(tmp_path)
    (served.folder / "inside.mp4").symlink_to(served.folder / "first.mp4")
    films = served.films()
    assert set(films) == {"first.mp4", "below/Änderung - 二.mkv", "inside.mp4"}
    assert served.ask(f"/api/films/{films['inside.mp4']['id']}").json["codec"] == "h264"
    for path in ("../secret.mp4", "..%2Fsecret.mp4", "%2e%2e/%2e%2e/secret.mp4", "first.mp4"):
        assert served.ask(f"/api/films/{path}").status == 404
        assert served.ask(f"/api/videos/{path}").status == 404
        assert served.ask(f"/api/jobs/{path}/result").status == 404


def test_a_film_that_becomes_a_link_out_of_the_folder_is_gone(
    served: Served, tmp_path: Path
) -> None:
    film = served.films()["first.mp4"]
    secret = write_clip(tmp_path / "secret.mp4", Clip(num_frames=2))
    (served.folder / "first.mp4").unlink()
    (served.folder / "first.mp4").symlink_to(secret)
    assert served.ask(f"/api/films/{film['id']}").status == 404


def test_a_film_whose_folder_becomes_a_link_out_of_the_folder_is_gone(
    served: Served, tmp_path: Path
) -> None:
    film = served.films()["below/Änderung - 二.mkv"]
    (served.folder / "below").rename(tmp_path / "below")
    (served.folder / "below").symlink_to(tmp_path / "below")
    assert served.ask(f"/api/films/{film['id']}").status == 404


def test_a_name_that_is_no_text_is_listed(served: Served) -> None:
    strange = os.fsencode(served.folder) + b"/\xff.mp4"
    Path(os.fsdecode(strange)).write_bytes((served.folder / "first.mp4").read_bytes())
    film = served.films()["�.mp4"]
    assert served.ask(f"/api/films/{film['id']}").json["codec"] == "h264"


@pytest.mark.parametrize(
    "playlist",
    [
        "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nfirst.mp4\n#EXT-X-ENDLIST\n",
        "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nhttp://127.0.0.1:1/a.ts\n#EXT-X-ENDLIST\n",
        "ffconcat version 1.0\nfile first.mp4\n",
    ],
    ids=["hls", "hls over http", "concat"],
)
def test_a_playlist_is_not_followed(served: Served, playlist: str) -> None:
    (served.folder / "list.ts").write_text(playlist)
    film = served.films()["list.ts"]
    for answer in (
        served.ask(f"/api/films/{film['id']}"),
        served.ask(f"/api/films/{film['id']}/picture?at=0"),
        served.post(f"/api/films/{film['id']}/jobs", {"options": QUICK}),
    ):
        assert answer.status == 422
        assert "list.ts" in answer.json["error"]
    assert served.jobs() == []


def put(served: Served, name: str, content: bytes, **headers: str) -> tuple[int, dict[str, Any]]:
    path = f"/api/films?name={quote(name)}"
    answer = served.ask(path, "PUT", body=content, **headers)
    return answer.status, answer.json


def test_a_dropped_film_is_listed_first_and_can_be_removed(served: Served) -> None:
    content = (served.folder / "first.mp4").read_bytes()
    status, film = put(served, "../../Über.mp4", content)
    assert (status, film["name"], film["uploaded"]) == (201, "Über.mp4", True)
    assert next(iter(served.films())) == "Über.mp4"
    assert served.ask(f"/api/films/{film['id']}").json["codec"] == "h264"
    assert served.ask(f"/api/films/{film['id']}", "DELETE").status == 204
    assert "Über.mp4" not in served.films()


def test_films_of_the_folder_cannot_be_removed(served: Served) -> None:
    film = served.films()["first.mp4"]
    assert served.ask(f"/api/films/{film['id']}", "DELETE").status == 403
    assert (served.folder / "first.mp4").exists()


@pytest.mark.parametrize(
    ("name", "content", "status"),
    [
        ("film.mp4", b"no film", 422),
        ("film.mp4", b"", 422),
        ("film.exe", b"x", 415),
        ("..", b"x", 415),
        ("film.mp4", bytes(10**6 + 1), 413),
    ],
    ids=["no film", "empty", "other suffix", "no name", "too large"],
)
def test_refused_uploads_leave_nothing(
    served: Served, name: str, content: bytes, status: int
) -> None:
    assert put(served, name, content)[0] == status
    assert list((served.folder / "restored/.vsr-web/uploads").iterdir()) == []


def test_a_film_is_refused_before_it_is_sent(served: Served) -> None:
    assert served.post("/api/uploads", {"size": 10**6}).status == 204
    refused = served.post("/api/uploads", {"size": 50 * 10**9})
    assert refused.status == 413
    assert "the film has 50.0 GB, more than the limit of 0.0 GB" in refused.json["error"]
    assert served.post("/api/uploads", {"size": "much"}).status == 411


def test_a_broken_upload_leaves_nothing(served: Served) -> None:
    with socket.create_connection(("127.0.0.1", served.port)) as connection:
        head = f"PUT /api/films?name=a.mp4 HTTP/1.1\r\nHost: localhost:{served.port}\r\n"
        head += "Authorization: Bearer secret\r\nContent-Length: 1000\r\n\r\n"
        connection.sendall(head.encode() + b"begun")
        uploads = served.folder / "restored/.vsr-web/uploads"
        until(lambda: any(uploads.iterdir()))
    until(lambda: not any(uploads.iterdir()))
    assert "a.mp4" not in served.films()


def test_more_than_the_disk_takes_is_refused_before_it_is_sent(tmp_path: Path) -> None:
    uploads = Uploads(folder=tmp_path, max_bytes=10**18, days=7)
    with pytest.raises(RequestError, match="the disk has room for") as refused:
        uploads.check(10**17)
    assert refused.value.status == 507


def test_dropped_films_go_by_age_unless_a_job_needs_them(tmp_path: Path) -> None:
    uploads = Uploads(folder=tmp_path, max_bytes=10**6, days=7)
    films = {name: tmp_path / name / "film.mp4" for name in ("old", "needed", "new")}
    for name, film in films.items():
        film.parent.mkdir()
        film.touch()
        if name != "new":
            os.utime(film.parent, (0, 0))
    uploads.remove_old([str(films["needed"])])
    assert [name for name, film in films.items() if film.exists()] == ["needed", "new"]


def test_a_preview_shows_the_input_beside_the_result(served: Served, tmp_path: Path) -> None:
    film = served.films()["first.mp4"]
    made = served.post(f"/api/films/{film['id']}/preview", {"at": 0.4, "options": QUICK}).json
    assert (made["width"], made["height"], len(made["times"])) == (192, 144, 10)
    assert made["bytes_per_s"] > 0
    video = served.ask(f"/api/videos/{made['id']}")
    assert video.headers["content-type"] == "video/mp4"
    (tmp_path / "preview.mp4").write_bytes(video.body)
    with open_reader(tmp_path / "preview.mp4") as reader:
        frames = next(reader.chunks(10)).frames
    assert frames.shape == (10, 3, 144, 384)
    # The halves show the same frame, enlarged by the same kernel.
    assert (frames[..., :192] - frames[..., 192:]).abs().mean() < 0.02


def test_size_memory_and_time_are_estimated(served: Served) -> None:
    film = served.films()["first.mp4"]
    made = served.post(f"/api/films/{film['id']}/estimate", {"options": QUICK}).json
    assert (made["frames"], made["output_size"]) == (20, [192, 144])
    assert made["seconds"] > 0
    assert made["memory_bytes"] > 0


def test_a_job_is_restored_compared_and_downloaded_in_parts(served: Served) -> None:
    film = served.films()["first.mp4"]
    job = served.post(f"/api/films/{film['id']}/jobs", {"options": QUICK}).json
    assert job["command"].startswith("vsr restore ")
    assert job["command"].endswith("restored/first.mp4 --model bicubic-x2 --resume")
    until(lambda: served.jobs()[0]["state"] == "done")
    assert served.jobs()[0]["frames"] == 20
    whole = served.ask(f"/api/jobs/{job['id']}/result")
    assert whole.body == (served.folder / "restored/first.mp4").read_bytes()
    assert 'filename="first.mp4"' in whole.headers["content-disposition"]
    part = served.ask(f"/api/jobs/{job['id']}/result", Range="bytes=10-19")
    assert (part.status, part.body) == (206, whole.body[10:20])
    os.truncate(served.folder / "restored/first.mp4", 50 * 10**9)
    end = served.ask(f"/api/jobs/{job['id']}/result", Range="bytes=-10")
    assert end.headers["content-range"] == "bytes 49999999990-49999999999/50000000000"
    assert end.body == bytes(10)
    (served.folder / "restored/first.mp4").write_bytes(whole.body)
    assert served.ask(f"/api/jobs/{job['id']}/frame").headers["content-type"] == "image/jpeg"
    compared = served.post(f"/api/jobs/{job['id']}/comparison", {"at": 99}).json
    assert (compared["width"], len(compared["times"])) == (192, 20)
    assert served.ask(f"/api/jobs/{job['id']}?result=delete", "DELETE").status == 204
    assert served.jobs() == []
    assert not (served.folder / "restored/first.mp4").exists()
    assert (served.folder / "first.mp4").exists()


@pytest.mark.parametrize(
    "options",
    [
        {"model": "bicubic-x9"},
        {"model": "/etc/passwd"},
        {"model": "basicvsr"},
        {"model": 3},
        {"fit": "1080; rm"},
        {"fidelity": 2},
        {"deinterlace": "field"},
        {"faces": 1},
        {"encode_args": "-vf movie=/etc/passwd"},
        [],
    ],
    ids=str,
)
def test_options_that_are_not_offered_are_refused(served: Served, options: object) -> None:
    film = served.films()["first.mp4"]
    answer = served.post(f"/api/films/{film['id']}/jobs", {"options": options})
    assert answer.status == 400
    assert answer.json["error"]
    assert served.jobs() == []


def test_faces_without_their_networks_say_what_to_pull(
    served: Served, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VSR_HOME", str(tmp_path / "empty"))
    assert served.ask("/api/settings").json["missing_for_faces"] == ["gfpgan-v1.4", "mtcnn"]
    film = served.films()["first.mp4"]
    answer = served.post(f"/api/films/{film['id']}/jobs", {"options": {"faces": True}})
    assert answer.status == 400
    assert "`vsr models pull gfpgan-v1.4` and `vsr models pull mtcnn`" in answer.json["error"]
    assert served.jobs() == []


@pytest.mark.parametrize("body", [b"no json", b"[]", b"\xff", b'{"at": "NaN"}'], ids=str)
def test_a_request_that_is_no_object_is_refused(served: Served, body: bytes) -> None:
    film = served.films()["first.mp4"]
    assert served.ask(f"/api/films/{film['id']}/preview", "POST", body=body).status == 400


def test_a_long_request_is_refused(served: Served) -> None:
    film = served.films()["first.mp4"]
    body = b" " * 100_000
    assert served.ask(f"/api/films/{film['id']}/preview", "POST", body=body).status == 413


def test_a_second_server_of_a_folder_is_refused(vsr: Run, films: Path) -> None:
    state = films / "restored/.vsr-web"
    state.mkdir(parents=True)
    with (state / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        done = vsr("web", films)
    assert done.code == 1
    assert "another `vsr web` serves" in done.err
    assert done.err.count("\n") == 1


def test_other_machines_need_a_flag(vsr: Run, films: Path) -> None:
    done = vsr("web", films, "--host", "0.0.0.0")
    assert done.code == 2
    assert "--allow-remote" in done.err


def test_a_missing_extra_is_one_line(
    vsr: Run, films: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(sys.modules, "vsr.web.server", raising=False)
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    done = vsr("web", films)
    assert done.code == 1
    assert done.err == (
        "vsr: `vsr web` needs uvicorn; install it by pip install 'vsr-stream[web]'\n"
    )


def test_a_preview_that_is_cancelled_or_whose_server_is_killed_leaves_nothing(
    films: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "videos"
    (folder / "tmpleft").mkdir(parents=True)
    for name in ("tmpleft/restored.mkv", ".0123456789abcdef.part.mp4", "0123456789abcdef.mp4"):
        (folder / name).touch()
    processes = Processes(folder)
    assert [path.name for path in folder.iterdir()] == ["0123456789abcdef.mp4"]

    async def once_begun() -> bool:
        return any(path.is_dir() and any(path.rglob("*")) for path in folder.iterdir())

    film = str(films / "first.mp4")
    with pytest.raises(RequestError, match="cancelled"):
        asyncio.run(processes.preview(film, 0.0, Options(model="bicubic-x2"), once_begun))
    assert [path.name for path in folder.iterdir()] == ["0123456789abcdef.mp4"]


def test_facts_and_picture_of_a_film_are_kept_at_the_same_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    facts, picture = tmp_path / "film.json", tmp_path / "film.jpg"
    write = Path.write_bytes

    def interrupted(path: Path, content: bytes) -> int:
        monkeypatch.setattr(Path, "write_bytes", write)
        written = path.write_bytes(content)
        _keep(picture, b"picture")
        return written

    monkeypatch.setattr(Path, "write_bytes", interrupted)
    _keep(facts, b"facts")
    assert (facts.read_bytes(), picture.read_bytes()) == (b"facts", b"picture")
    assert {path.name for path in tmp_path.iterdir()} == {"film.json", "film.jpg"}


@pytest.mark.parametrize("films", [b"\xff"], indirect=True)
def test_a_folder_whose_name_is_no_text_is_served(served: Served) -> None:
    assert served.ask("/api/settings").json["folder"].endswith("\ufffd")
    film = served.films()["first.mp4"]
    asked = {"name": "yard", "target": "", "options": QUICK, "film": film["id"]}
    answer = served.post("/api/streams", asked)
    assert answer.status == 400
    assert "not UTF-8; rename it first" in answer.json["error"]
    assert not (served.folder / "restored/.vsr-web/streams").exists()
