"""Live streams of the page: each a process of ``vsr live`` that outlives the server.

streams/ID/stream.json    the request
           stream.toml    the same for ``vsr live --streams``: no key is in a command line
           token          the secret of its status server, which the page's server asks
           lock …         those of the process: ``process_folder``
"""

from __future__ import annotations

import http.client
import json
import re
import secrets
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from vsr.address import shown
from vsr.live.input.address import check_form
from vsr.web.bodies import as_text
from vsr.web.errors import RequestError
from vsr.web.options import Options, parse_options
from vsr.web.process_folder import PROGRAM, ProcessFolder, process_folders, read_json
from vsr.web.results import Results

StreamState = Literal["running", "stopped", "failed", "ended"]

SOURCES = ("rtmp", "rtmps", "srt", "udp", "tcp", "http", "https")
TARGETS = ("rtmp", "rtmps", "srt", "udp")
"""Schemes of addresses; files are chosen by the page alone, in its own folders."""

LONGEST_ADDRESS, LONGEST_NAME = 2000, 60

ANSWER_TIMEOUT_S = 2.0
"""A stream's figures come within milliseconds unless it hangs."""

PATHS = {"input": "input.jpg", "output": "output.jpg", "metrics": "metrics"}
"""Paths that the page may request from a stream's status server."""

_STATUS = re.compile(r"figures at http://127\.0\.0\.1:(\d+)/")


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """The request for a stream.

    Attributes:
        name: Name on the page and in figures.
        source: Address, or path of a film of the folder.
        target: Address; empty for a file in the folder of the results.
        listen: Whether to wait at the source for a publisher.
        record: Whether to keep a copy beside sending it to the target.
        latency_ms: Time from a frame's arrival until it leaves, encoded.
        words: Options of the network.
    """

    name: str
    source: str
    target: str = ""
    listen: bool = False
    record: bool = False
    latency_ms: int = 800
    words: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Stream:
    """A stream and its state.

    Attributes:
        id: Name of its folder.
        created: Seconds since 1970.
        wanted: The request.
        file: Path of the file that it writes; empty without one.
        device: Device it runs on.
        state: ``running`` as long as its process lives.
        is_stopping: Whether it has been asked to end.
        pid: Process id.
        message: Reason of its failure.
    """

    id: str
    created: float
    wanted: Wanted
    file: str
    device: str
    state: StreamState = "running"
    is_stopping: bool = False
    pid: int | None = None
    message: str = ""


def parse_wanted(given: Mapping[str, Any], film: str | None) -> Wanted:
    """Check a stream that a page asked for.

    Args:
        given: Fields of ``Wanted`` without ``words``, and ``options`` of the network.
        film: Path of the film that is the source; None for the address that is given.

    Raises:
        RequestError: An unknown field, or a value that is not accepted.
        OpenError: An address that cannot be parsed.
    """
    given = dict(given)
    options = parse_options(given.pop("options", {}))
    if options != Options(model=options.model, fidelity=options.fidelity):
        raise RequestError("a live stream takes a model and a fidelity, no other options")
    if unknown := set(given) - {field.name for field in fields(Wanted)} - {"film"} | (
        set(given) & {"words"}
    ):
        raise RequestError(f"unknown fields: {', '.join(sorted(unknown))}")
    name = _text(given, "name", LONGEST_NAME)
    if not re.fullmatch(r"[\w .-]+", name) or name.startswith("."):
        raise RequestError("give the stream a name of letters, digits, blanks, dots and hyphens")
    latency_ms = given.get("latency_ms", 800)
    if not isinstance(latency_ms, int) or not 50 <= latency_ms <= 60_000:
        raise RequestError(f"the latency is 50 to 60000 ms, not {latency_ms!r}")
    return Wanted(
        name=name,
        source=film or _address(given, "source", SOURCES),
        target=_address(given, "target", TARGETS) if given.get("target") else "",
        listen=bool(given.get("listen", False)),
        record=bool(given.get("record", False)),
        latency_ms=latency_ms,
        words=tuple(options.words()),
    )


class Streams:
    """All streams, in the order in which they were added. Used by one thread.

    Args:
        folder: Folder of the streams.
        results: Folder of the results.
        devices: Devices that streams take in turn.
    """

    def __init__(self, folder: Path, results: Results, devices: Sequence[str] = ("auto",)) -> None:
        self._folder, self._results, self._devices = folder, results, devices
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        found = sorted(filter(None, map(_load, process_folders(folder))), key=lambda s: s.created)
        self._streams = {stream.id: stream for stream in found}
        results.hold(lambda: [stream.file for stream in self._streams.values()])

    @property
    def streams(self) -> list[Stream]:
        """All streams, in their present state."""
        for stream in list(self._streams.values()):
            if stream.state == "running" and not self._files(stream).is_running():
                self._note_end(stream)
        return list(self._streams.values())

    def find(self, stream_id: str) -> Stream:
        """The stream with an id.

        Raises:
            RequestError: There is none.
        """
        if stream_id not in self._streams:
            raise RequestError("this stream is not here any more", 404)
        return self._streams[stream_id]

    def add(self, wanted: Wanted) -> Stream:
        """Start a stream."""
        writes = wanted.record or not wanted.target
        device = self._devices[len(self._streams) % len(self._devices)]
        stream = Stream(
            id=secrets.token_hex(8),
            created=time.time(),
            wanted=wanted,
            file=self._free_file(wanted.name) if writes else "",
            device=device,
        )
        return self._start(stream)

    def again(self, stream: Stream) -> Stream:
        """Start a stream that has ended; it writes a new file."""
        if stream.state == "running":
            raise RequestError("this stream runs already")
        file = self._free_file(stream.wanted.name) if stream.file else ""
        return self._start(replace(stream, file=file))

    def stop(self, stream: Stream) -> Stream:
        """Let a stream close its output and end."""
        if stream.state != "running":
            raise RequestError(f"this stream has {stream.state} and does not run")
        if not stream.is_stopping:  # a second interrupt would end it at once
            self._files(stream).interrupt(stream.pid)
        return self._put(replace(stream, is_stopping=True))

    def remove(self, stream: Stream) -> None:
        """Remove a stream from the list; its output stays."""
        if stream.state == "running":
            raise RequestError("a running stream cannot be removed; stop it first", 409)
        del self._streams[stream.id]
        self._files(stream).remove()

    def command(self, stream: Stream) -> list[str]:
        """The equivalent command line, as a user would type it."""
        file = str(self._folder / stream.id / "stream.toml")
        return ["vsr", "live", "--streams", file, *stream.wanted.words, "--device", stream.device]

    def figures(self, stream: Stream) -> dict[str, Any] | None:
        """The stream's figures; None while it starts, or when it does not answer."""
        if stream.state != "running":
            return None
        try:
            found = json.loads(self._ask(stream, "figures.json").content)
        except (RequestError, ValueError):
            return None
        figures: dict[str, Any] = found[0]
        return figures

    def fetch(self, stream: Stream, what: str) -> Fetched:
        """A picture, or the metrics, of a running stream.

        Raises:
            RequestError: There is none.
        """
        if what not in PATHS:
            raise RequestError(f"a stream shows {', '.join(PATHS)}", 404)
        return self._ask(stream, f"{PATHS[what]}?stream=live")

    def _ask(self, stream: Stream, path: str) -> Fetched:
        folder = self._folder / stream.id
        try:
            port = _STATUS.search((folder / "log.txt").read_text(encoding="utf-8"))
            token = (folder / "token").read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError):
            port = None
        if port is None:
            raise RequestError("this stream does not answer yet", 404)
        line = http.client.HTTPConnection("127.0.0.1", int(port[1]), timeout=ANSWER_TIMEOUT_S)
        try:
            line.request("GET", f"/{path}", headers={"Authorization": f"Bearer {token}"})
            answer = line.getresponse()
            content, kind = answer.read(), answer.headers.get("content-type", "")
        except (OSError, http.client.HTTPException) as error:
            raise RequestError("this stream does not answer", 404) from error
        finally:
            line.close()
        if answer.status != 200:
            raise RequestError("there is no picture yet", 404)
        return Fetched(content, kind)

    def _start(self, stream: Stream) -> Stream:
        files, toml = self._files(stream), _toml(stream)
        files.path.mkdir(parents=True, exist_ok=True)
        _write_secret(files.path / "token", secrets.token_hex(16))
        _write_secret(files.path / "stream.toml", toml)
        words = self.command(stream)[1:]
        words += ["--status", "127.0.0.1:0", "--status-token", str(files.path / "token"), "--json"]
        process = files.launch([*PROGRAM, *words])
        self._processes[stream.id] = process
        stream = replace(stream, state="running", is_stopping=False, message="", pid=process.pid)
        return self._put(stream)

    def _note_end(self, stream: Stream) -> None:
        if process := self._processes.pop(stream.id, None):
            process.wait()
        files = self._files(stream)
        ended_in_order = bool((files.path / "summary.json").read_text(encoding="utf-8").strip())
        state: StreamState = "failed"
        if ended_in_order:
            state = "stopped" if stream.is_stopping else "ended"
        message = files.last_message() if state == "failed" else ""
        self._put(replace(stream, state=state, is_stopping=False, pid=None, message=message))

    def _files(self, stream: Stream) -> ProcessFolder:
        return ProcessFolder(self._folder / stream.id)

    def _put(self, stream: Stream) -> Stream:
        self._streams[stream.id] = stream
        self._files(stream).write("stream.json", asdict(stream))
        return stream

    def _free_file(self, name: str) -> str:
        return str(self._results.free(Path(f"{name}.mkv")))


@dataclass(frozen=True)
class Fetched:
    """An answer of a stream's status server: its content and media type."""

    content: bytes
    kind: str


def shown_ends(stream: Stream) -> tuple[str, str]:
    """Source and target without secrets: a key may be anywhere in an address."""
    wanted = stream.wanted
    source = Path(wanted.source).name if "://" not in wanted.source else shown(wanted.source)
    return source, shown(wanted.target) if wanted.target else Path(stream.file).name


def _load(folder: Path) -> Stream | None:
    content = read_json(folder / "stream.json")
    try:
        wanted = Wanted(**{**content["wanted"], "words": tuple(content["wanted"]["words"])})  # type: ignore[index]
        return Stream(**{**content, "wanted": wanted})  # type: ignore[dict-item]
    except (KeyError, TypeError):
        return None


def _toml(stream: Stream) -> str:
    """The stream as ``vsr live --streams`` reads it; TOML's strings are JSON's.

    Raises:
        RequestError: A path is not UTF-8, which TOML cannot hold.
    """
    wanted = stream.wanted
    values: dict[str, object] = {
        "name": "live",
        "source": wanted.source,
        "target": wanted.target or stream.file,
        "latency": f"{wanted.latency_ms}ms",
        "listen": wanted.listen,
    }
    if wanted.target and stream.file:
        values["record"] = stream.file
    lines = [f"{key} = {json.dumps(value, ensure_ascii=False)}" for key, value in values.items()]
    text = "\n".join(["[[stream]]", *lines, ""])
    if as_text(text) != text:
        raise RequestError("the film or its folder has a name that is not UTF-8; rename it first")
    return text


def _write_secret(path: Path, text: str) -> None:
    path.unlink(missing_ok=True)
    path.touch(mode=0o600, exist_ok=False)
    path.write_text(text, encoding="utf-8")


def _text(given: Mapping[str, Any], field: str, longest: int) -> str:
    text = given.get(field, "")
    if not isinstance(text, str) or not 0 < len(text) <= longest or not text.isprintable():
        raise RequestError(f"the {field} is missing, longer than {longest}, or not plain text")
    return text.strip()


def _address(given: Mapping[str, Any], field: str, schemes: Sequence[str]) -> str:
    address = _text(given, field, LONGEST_ADDRESS)
    if urlsplit(address).scheme not in schemes or "://" not in address:
        raise RequestError(f"the {field} is an address of {', '.join(schemes)}")
    check_form(address)
    return address
