"""Jobs are real processes of ``vsr restore``; the queue outlives its server."""

from __future__ import annotations

import asyncio
import errno
import os
import signal
import subprocess
import sys
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from tests.command_line import Run
from tests.media import Clip, write_clip
from tests.web.conftest import TOKEN, Served, until
from vsr.streams import open_reader
from vsr.streams.ffmpeg.process import find_ffmpeg
from vsr.web.errors import RequestError
from vsr.web.jobs import Job, JobFolder
from vsr.web.library import Film, Library
from vsr.web.process_folder import ProcessFolder
from vsr.web.processes import Processes
from vsr.web.queue import Queue
from vsr.web.results import Results
from vsr.web.streams import Stream, Streams, Wanted

WORDS = ["--model", "bicubic-x4", "--segment", "20", "--chunk", "4"]
LONG = 1500


@pytest.fixture(scope="module")
def long_film(tmp_path_factory: pytest.TempPathFactory) -> Film:
    """A film that takes some seconds."""
    folder = tmp_path_factory.mktemp("films")
    part = write_clip(folder / ".part.mp4", Clip(num_frames=100))
    words = ["-v", "error", "-stream_loop", str(LONG // 100 - 1), "-i", str(part), "-c", "copy"]
    subprocess.run([find_ffmpeg(), *words, str(folder / "long.mp4")], check=True)
    return Library(folder, folder / "none").films()[0]


@pytest.fixture
def short_film(tmp_path: Path) -> Film:
    folder = tmp_path / "films"
    folder.mkdir()
    write_clip(folder / "short.mp4", Clip(num_frames=5))
    return Library(folder, folder / "none").films()[0]


@pytest.fixture
def queue(tmp_path: Path) -> Queue:
    return make_queue(tmp_path)


def make_queue(folder: Path) -> Queue:
    (folder / "out").mkdir(exist_ok=True)
    return Queue(folder / "jobs", Results(folder / "out"))


def now(queue: Queue, job: Job) -> Job:
    queue.tick()
    return queue.find(job.id)


def run_until(queue: Queue, job: Job, state: str) -> Job:
    until(lambda: now(queue, job).state in {state, "failed", "done"})
    ended = queue.find(job.id)
    assert ended.state == state, ended.message
    return ended


def wait_for_frames(queue: Queue, job: Job, frames: int) -> None:
    def came() -> bool:
        queue.tick()
        return ((queue.files(job).progress() or {}).get("frames") or 0) >= frames

    until(came)


def count_frames(path: str) -> int:
    with open_reader(path) as reader:
        return sum(map(len, reader.chunks(50)))


@pytest.mark.slow
def test_a_paused_job_keeps_a_playable_part_and_ends_as_one_that_was_not(
    queue: Queue, long_film: Film, vsr: Run, tmp_path: Path
) -> None:
    job = queue.add(long_film, WORDS)
    wait_for_frames(queue, job, 40)
    queue.pause(job)
    paused = run_until(queue, job, "paused")
    assert paused.output.endswith("long.partial.mp4")
    assert 40 <= count_frames(paused.output) < LONG
    assert Path(f"{job.target}.resume").is_dir()
    queue.resume(paused)
    done = run_until(queue, job, "done")
    assert (done.output, done.frames) == (job.target, LONG)
    assert not Path(paused.output).exists()
    assert not Path(f"{job.target}.resume").exists()
    assert vsr("restore", long_film.path, tmp_path / "at_once.mp4", *WORDS).code == 0
    assert Path(job.target).read_bytes() == (tmp_path / "at_once.mp4").read_bytes()


def test_cancel_keeps_what_is_done_and_remove_takes_it_away(queue: Queue, long_film: Film) -> None:
    job = queue.add(long_film, WORDS)
    wait_for_frames(queue, job, 40)
    with pytest.raises(RequestError, match="cancel it first"):
        queue.remove(queue.find(job.id))
    queue.cancel(queue.find(job.id))
    queue.cancel(queue.find(job.id))  # a second time does not end it at once
    cancelled = run_until(queue, job, "cancelled")
    assert count_frames(cancelled.output) >= 40
    queue.remove(cancelled, with_result=True)
    assert queue.jobs == []
    assert list(Path(job.target).parent.iterdir()) == []


@pytest.mark.slow
def test_a_killed_process_fails_and_resumes(queue: Queue, long_film: Film) -> None:
    job = queue.add(long_film, WORDS)
    wait_for_frames(queue, job, 60)
    pid = queue.find(job.id).pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    until(lambda: now(queue, job).state == "failed")
    assert queue.find(job.id).message
    queue.resume(queue.find(job.id))
    done = run_until(queue, job, "done")
    summary = queue.files(done).summary()
    assert summary is not None
    assert summary["resumed"] > 0
    assert count_frames(done.output) == LONG


@pytest.mark.slow
def test_a_new_queue_finds_the_process_of_the_old_one_running(
    queue: Queue, long_film: Film, tmp_path: Path
) -> None:
    job = queue.add(long_film, WORDS)
    wait_for_frames(queue, job, 10)
    process = queue._processes.pop(job.id)  # as if its server were gone
    after = make_queue(tmp_path)
    assert after.find(job.id).state == "running"
    after.tick()
    assert after.find(job.id).pid == process.pid
    after.pause(after.find(job.id))
    process.wait()
    assert now(after, job).state == "paused"


@pytest.mark.slow
@pytest.mark.parametrize("has_begun", [True, False])
def test_a_server_that_is_killed_as_a_job_begins_leaves_it_to_the_next_one(
    has_begun: bool, short_film: Film, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, start = [], JobFolder.start

    def killed(files: JobFolder, job: Job) -> None:
        if has_begun:
            begun.append(start(files, job))
        raise KeyboardInterrupt

    first = make_queue(tmp_path)
    job = first.add(short_film, WORDS)
    with monkeypatch.context() as patch:
        patch.setattr(JobFolder, "start", killed)
        with pytest.raises(KeyboardInterrupt):
            first.tick()
    for process in begun:
        process.wait()
    assert run_until(make_queue(tmp_path), job, "done").output == job.target


def test_one_job_runs_on_each_device_in_order(short_film: Film, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    queue = Queue(tmp_path / "jobs", Results(tmp_path / "out"), ("cpu", "auto"))
    jobs = [queue.add(short_film, ["--model", "identity"]) for _ in range(3)]
    assert [Path(job.target).name for job in jobs] == ["short.mp4", "short-2.mp4", "short-3.mp4"]
    queue.tick()
    assert [(job.state, job.device) for job in queue.jobs] == [
        ("running", "cpu"),
        ("running", "auto"),
        ("queued", ""),
    ]
    for job in jobs:
        run_until(queue, job, "done")
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        Path(job.target).name for job in jobs
    }


def test_waiting_jobs_are_paused_at_once_and_survive(
    queue: Queue, short_film: Film, tmp_path: Path
) -> None:
    job = queue.add(short_film, ["--model", "identity"])
    assert queue.pause(job).state == "paused"
    assert make_queue(tmp_path).find(job.id) == replace(job, state="paused")


def test_a_job_that_cannot_run_says_why(queue: Queue, short_film: Film) -> None:
    job = queue.add(short_film, ["--model", "nonsense"])
    until(lambda: now(queue, job).state == "failed")
    assert "nonsense" in queue.find(job.id).message


def test_a_damaged_record_is_passed_over(queue: Queue, short_film: Film, tmp_path: Path) -> None:
    kept, broken = (queue.add(short_film, ["--model", "identity"]) for _ in range(2))
    (queue.files(broken).path / "job.json").write_text('{"id": ')
    assert [job.id for job in make_queue(tmp_path).jobs] == [kept.id]


class Program:
    """``vsr web`` as people start it."""

    def __init__(self, folder: Path, *words: str) -> None:
        command = [sys.executable, "-m", "vsr", "web", str(folder), *words]
        environment = {**os.environ, "VSR_WEB_TOKEN": TOKEN}
        self.process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment, text=True
        )
        assert self.process.stdout is not None
        self.address = self.process.stdout.readline().strip()
        port, _, query = self.address.removeprefix("http://127.0.0.1:").partition("/")
        self.path = f"/{query}"
        self.served = Served(int(port), folder)

    def end(self, number: signal.Signals) -> int:
        self.process.send_signal(number)
        _, self.said = self.process.communicate()
        return self.process.returncode


def test_other_machines_are_let_in_by_the_token_and_it_is_reported_what_that_means(
    short_film: Film,
) -> None:
    program = Program(short_film.path.parent, "--allow-remote", "--host", "127.0.0.1")
    ask = program.served.ask
    assert ask("/api/films", Host="studio.example").status == 200
    assert ask("/api/films", token=None, Host="studio.example").status == 401
    program.end(signal.SIGTERM)
    assert "not encrypted" in program.said


@pytest.mark.slow
def test_a_killed_server_leaves_its_job_to_the_next_one(long_film: Film) -> None:
    folder = long_film.path.parent
    before = Program(folder)
    film = before.served.films()["long.mp4"]
    job = before.served.post(f"/api/films/{film['id']}/jobs", {"options": {"model": "bicubic-x4"}})
    until(lambda: before.served.jobs()[0]["progress"])
    assert before.end(signal.SIGKILL) == -signal.SIGKILL
    after = Program(folder)
    assert after.served.jobs()[0]["state"] in {"running", "done"}
    until(lambda: after.served.jobs()[0]["state"] == "done")
    assert after.end(signal.SIGTERM) == 0
    assert count_frames(str(folder / "restored" / job.json["result"])) == LONG


@pytest.mark.slow
def test_ctrl_c_ends_running_jobs_in_order_and_the_next_server_continues(long_film: Film) -> None:
    folder = long_film.path.parent
    words = ("--out", str(folder / "second"))
    before = Program(folder, *words)
    film = before.served.films()["long.mp4"]
    before.served.post(f"/api/films/{film['id']}/jobs", {"options": {"model": "bicubic-x4"}})
    until(lambda: (before.served.jobs()[0]["progress"] or {}).get("frames", 0) > 0)
    assert before.end(signal.SIGINT) == 130
    assert not (folder / "second/long.mp4").exists()
    after = Program(folder, *words)
    until(lambda: after.served.jobs()[0]["state"] == "done")
    assert after.end(signal.SIGINT) == 130
    assert count_frames(str(folder / "second/long.mp4")) == LONG


async def stays() -> bool:
    return False


def test_jobs_and_streams_get_no_name_that_the_other_has(
    queue: Queue, short_film: Film, tmp_path: Path
) -> None:
    (tmp_path / "out/short-2.mp4.resume").mkdir()
    jobs = [queue.add(short_film, []) for _ in range(2)]
    assert [Path(job.target).name for job in jobs] == ["short.mp4", "short-3.mp4"]
    results = queue._results
    wanted = Wanted(name="yard", source="udp://127.0.0.1:1")
    file = str(results.free(Path("yard.mkv")))
    made = Stream(id="0" * 16, created=0.0, wanted=wanted, file=file, device="auto", state="ended")
    ProcessFolder(tmp_path / "streams" / made.id).write("stream.json", asdict(made))
    assert [one.file for one in Streams(tmp_path / "streams", results).streams] == [file]
    yard = replace(short_film, path=short_film.path.with_name("yard.mkv"))
    assert Path(queue.add(yard, []).target).name == "yard-2.mkv"


def test_a_file_of_others_is_not_the_result_of_a_job(queue: Queue, short_film: Film) -> None:
    job = queue.add(short_film, ["--model", "identity"])
    Path(job.target).write_bytes(short_film.path.read_bytes())
    until(lambda: now(queue, job).state not in {"queued", "running"})
    ended = queue.find(job.id)
    assert (ended.state, ended.output) == ("failed", "")
    assert "'short.mp4' is there already, and not from this job" in ended.message


def test_the_queue_continues_on_a_full_disk_and_is_saved_later(
    queue: Queue, short_film: Film, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    jobs = [queue.add(short_film, ["--model", "identity"]) for _ in range(2)]

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as disk:
        disk.setattr(ProcessFolder, "write", full)
        for job in jobs:
            run_until(queue, job, "done")
        assert not queue.interrupt_all()
    assert [job.state for job in make_queue(tmp_path).jobs] == ["queued", "queued"]
    queue.tick()
    assert make_queue(tmp_path).jobs == queue.jobs


def test_jobs_import_nothing_from_the_current_folder(
    queue: Queue, short_film: Film, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "torch.py").write_text("raise SystemExit('not the package')")
    monkeypatch.chdir(tmp_path)
    run_until(queue, queue.add(short_film, ["--model", "identity"]), "done")
    asked = Processes(tmp_path / "videos").estimate(
        str(short_film.path), ["--model", "identity"], stays
    )
    assert asyncio.run(asked)["frames"] == 5


@pytest.mark.parametrize("length", [249, 255])
def test_a_film_of_the_longest_name_can_be_added(
    length: int, queue: Queue, short_film: Film
) -> None:
    path = short_film.path.with_name("x" * (length - 4) + ".mp4")
    assert Path(queue.add(replace(short_film, path=path), []).target).name == path.name


SECRET = "a+b&c#d;e=f/g h%20"


def test_the_printed_address_logs_in_whatever_the_secret(
    short_film: Film, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tests.web.test_queue.TOKEN", SECRET)
    program = Program(short_film.path.parent)
    answer = program.served.ask(program.path, token=None)
    assert answer.status == 200
    cookie = answer.headers["set-cookie"].partition(";")[0]
    assert program.served.ask("/api/films", token=None, Cookie=cookie).status == 200
    program.end(signal.SIGTERM)
