"""The HTTP interface of the page: JSON under ``/api``, and the files of the page."""

from __future__ import annotations

import asyncio
import logging
import shlex
import shutil
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import asdict, dataclass
from functools import partial
from importlib.resources import files
from pathlib import Path
from typing import Any, TypeVar

from anyio import CapacityLimiter, to_thread
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from vsr.errors import VSRError
from vsr.live.monitor.counted_log import CountedLog
from vsr.web.bodies import as_text, parse_moment, read_object
from vsr.web.errors import RequestError
from vsr.web.jobs import Job
from vsr.web.library import Film, Library
from vsr.web.live_api import live_routes
from vsr.web.options import HEIGHTS, missing_for_faces, offered_models, parse_options
from vsr.web.probe import Probe, read_facts, read_picture
from vsr.web.processes import PREVIEW_S, Processes
from vsr.web.queue import Queue
from vsr.web.security import Guard
from vsr.web.streams import Streams
from vsr.web.suggestions import suggest
from vsr.web.uploads import Uploads

PAGE_FILES = {
    "page.html": "text/html",
    "page.css": "text/css",
    "icon.svg": "image/svg+xml",
    "page.js": "text/javascript",
    "request.js": "text/javascript",
    "films.js": "text/javascript",
    "compare.js": "text/javascript",
    "jobs.js": "text/javascript",
    "live.js": "text/javascript",
    "figures.js": "text/javascript",
}

TICK_S = 0.3
CLEAN_EVERY_S = 3600.0

DECODERS = 2
"""Films whose pictures are made at once: the cores are for the restoration."""

MOMENT_WIDTH = 640

T = TypeVar("T")

_log = CountedLog(logging.getLogger(__name__))


@dataclass(frozen=True, kw_only=True)
class Site:
    """The data and processes of a server.

    Attributes:
        library: The films.
        uploads: The films that were dropped.
        probe: Facts and pictures.
        queue: The jobs.
        processes: Previews, comparisons and estimates.
        streams: The live streams.
        out: Folder of the results.
    """

    library: Library
    uploads: Uploads
    probe: Probe
    queue: Queue
    processes: Processes
    streams: Streams
    out: Path


def make_app(site: Site, *, token: str, remote: bool = False) -> ASGIApp:
    """The application.

    Args:
        site: Films, uploads and jobs that the page works on.
        token: The secret that every request has to carry.
        remote: See ``Guard``.
    """
    api = Api(site)
    routes = [
        Route("/", partial(page_file, name="page.html")),
        *(Route(f"/{name}", partial(page_file, name=name)) for name in PAGE_FILES),
        Route("/api/settings", api.settings),
        Route("/api/films", api.films),
        Route("/api/films", api.receive, methods=["PUT"]),
        Route("/api/uploads", api.check_upload, methods=["POST"]),
        Route("/api/films/{film}", api.facts),
        Route("/api/films/{film}", api.remove_film, methods=["DELETE"]),
        Route("/api/films/{film}/picture", api.picture),
        Route("/api/films/{film}/estimate", api.estimate, methods=["POST"]),
        Route("/api/films/{film}/suggestion", api.suggestion, methods=["POST"]),
        Route("/api/films/{film}/preview", api.preview, methods=["POST"]),
        Route("/api/films/{film}/jobs", api.add_job, methods=["POST"]),
        Route("/api/videos/{video}", api.video),
        Route("/api/jobs", api.jobs),
        Route("/api/jobs/{job}", api.remove_job, methods=["DELETE"]),
        Route("/api/jobs/{job}/frame", api.frame),
        Route("/api/jobs/{job}/result", api.result),
        Route("/api/jobs/{job}/keep", api.keep_result, methods=["POST"]),
        Route("/api/jobs/{job}/comparison", api.comparison, methods=["POST"]),
        Route("/api/jobs/{job}/{action:str}", api.change_job, methods=["POST"]),
        *live_routes(site.streams, api.checked_film),
    ]
    return Starlette(
        routes=routes,
        middleware=[Middleware(Guard, token=token, remote=remote)],
        exception_handlers={VSRError: _explain, ClientDisconnect: _hang_up},
        lifespan=partial(_run_queue, site=site),
    )


class Api:
    """The requests of the page."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._decoders = CapacityLimiter(DECODERS)

    async def settings(self, request: Request) -> Response:
        return JSONResponse(
            {
                "folder": as_text(str(self._site.library.root)),
                "out": as_text(str(self._site.out)),
                "models": offered_models(),
                "heights": HEIGHTS,
                "missing_for_faces": missing_for_faces(),
                "preview_s": PREVIEW_S,
                "max_upload": self._site.uploads.max_bytes,
                "days": self._site.uploads.days,
            }
        )

    async def films(self, request: Request) -> Response:
        films = await to_thread.run_sync(self._site.library.films)
        free = shutil.disk_usage(self._site.out).free
        return JSONResponse({"films": [_film(film) for film in films], "free": free})

    async def check_upload(self, request: Request) -> Response:
        """Check the size of a film before the page sends it."""
        size = (await read_object(request)).get("size")
        self._site.uploads.check(size if isinstance(size, int) and size >= 0 else None)
        return Response(status_code=204)

    async def receive(self, request: Request) -> Response:
        uploads = self._site.uploads
        length = request.headers.get("content-length", "")
        size = uploads.check(int(length) if length.isdecimal() else None)
        path = await uploads.receive(request.query_params.get("name", ""), size, request.stream())
        films = await to_thread.run_sync(self._site.library.films)
        return JSONResponse(next(_film(film) for film in films if film.path == path), 201)

    async def remove_film(self, request: Request) -> Response:
        film = self._film(request)
        if not film.uploaded:
            raise RequestError("only films that were dropped here can be removed here", 403)
        if str(film.path) in _sources_in_use(self._site.queue):
            raise RequestError("a job still needs this film; remove the job first", 409)
        await to_thread.run_sync(self._site.uploads.remove, film.path)
        return Response(status_code=204)

    async def facts(self, request: Request) -> Response:
        facts = await self._decode(self._site.probe.facts, self._film(request))
        return JSONResponse(asdict(facts))

    async def picture(self, request: Request) -> Response:
        film = self._film(request)
        if (at := request.query_params.get("at")) is None:
            picture = await self._decode(self._site.probe.picture, film)
        else:
            await self._decode(self._site.probe.facts, film)
            picture = await self._decode(read_picture, film.path, parse_moment(at), MOMENT_WIDTH)
        headers = {"cache-control": "private, max-age=3600"}
        return Response(picture, media_type="image/jpeg", headers=headers)

    async def estimate(self, request: Request) -> Response:
        film, given = await self._checked_film(request)
        words = parse_options(given.get("options", {})).words()
        estimate = self._site.processes.estimate(str(film.path), words, request.is_disconnected)
        return JSONResponse(await estimate)

    async def suggestion(self, request: Request) -> Response:
        film, given = await self._checked_film(request)
        assessment = await self._site.processes.assess(
            str(film.path), parse_moment(given.get("at")), request.is_disconnected
        )
        return JSONResponse(asdict(suggest(assessment)))

    async def preview(self, request: Request) -> Response:
        film, given = await self._checked_film(request)
        preview = self._site.processes.preview(
            str(film.path),
            parse_moment(given.get("at")),
            parse_options(given.get("options", {})),
            request.is_disconnected,
        )
        return JSONResponse(await preview)

    async def video(self, request: Request) -> Response:
        path = self._site.processes.video(request.path_params["video"])
        return FileResponse(path, media_type="video/mp4")

    async def add_job(self, request: Request) -> Response:
        film, given = await self._checked_film(request)
        words = parse_options(given.get("options", {})).words()
        return JSONResponse(self._job(self._site.queue.add(film, words)), 201)

    async def jobs(self, request: Request) -> Response:
        return JSONResponse({"jobs": [self._job(job) for job in self._site.queue.jobs]})

    async def change_job(self, request: Request) -> Response:
        queue = self._site.queue
        actions: dict[str, Callable[[Job], Job]]
        actions = {"pause": queue.pause, "resume": queue.resume, "cancel": queue.cancel}
        action = actions.get(request.path_params["action"])
        if action is None:
            raise RequestError(f"a job can do one of {', '.join(actions)}", 404)
        return JSONResponse(self._job(action(self._of_request(request))))

    async def remove_job(self, request: Request) -> Response:
        with_result = request.query_params.get("result") == "delete"
        self._site.queue.remove(self._of_request(request), with_result=with_result)
        return Response(status_code=204)

    async def keep_result(self, request: Request) -> Response:
        """Move the film of a finished job away; its result takes its place."""
        job = self._of_request(request)
        if job.state != "done" or not Path(job.output).is_file():
            raise RequestError("only the result of a whole restoration can replace its film", 409)
        film = next((f for f in self._site.library.films() if str(f.path) == job.source), None)
        if film is None:
            raise RequestError("the film is not here any more", 404)
        if str(film.path) in _sources_in_use(self._site.queue):
            raise RequestError("another job still needs this film", 409)
        if film.uploaded:
            await to_thread.run_sync(self._site.uploads.remove, film.path)
            return JSONResponse({"place": None})
        place = await to_thread.run_sync(self._site.library.put_away, film)
        return JSONResponse({"place": as_text(str(place))})

    async def frame(self, request: Request) -> Response:
        picture = self._site.queue.files(self._of_request(request)).picture
        if not picture.is_file():
            raise RequestError("no frame has been restored yet", 404)
        return Response(picture.read_bytes(), media_type="image/jpeg")

    async def result(self, request: Request) -> Response:
        output = _output(self._of_request(request))
        return FileResponse(output, filename=as_text(output.name))

    async def comparison(self, request: Request) -> Response:
        job, given = self._of_request(request), await read_object(request)
        output, at_s = _output(job), parse_moment(given.get("at"))
        if not Path(job.source).is_file():
            raise RequestError("the film is not here any more, so nothing can be compared", 404)
        length_s = (await self._decode(read_facts, output)).seconds or 0.0
        at_s = min(at_s, max(0.0, length_s - PREVIEW_S))  # a part is shorter than the film
        compared = self._site.processes.compare(
            job.source, str(output), at_s, request.is_disconnected
        )
        return JSONResponse(await compared)

    def _film(self, request: Request) -> Film:
        return self._site.library.find(request.path_params["film"])

    async def _checked_film(self, request: Request) -> tuple[Film, Mapping[str, Any]]:
        """The film and the body of a request."""
        film = await self.checked_film(request.path_params["film"])
        return film, await read_object(request)

    async def checked_film(self, film_id: str) -> Film:
        """The film with an id; one that refers to other files is refused."""
        film = self._site.library.find(film_id)
        await self._decode(self._site.probe.facts, film)
        return film

    def _of_request(self, request: Request) -> Job:
        return self._site.queue.find(request.path_params["job"])

    async def _decode(self, function: Callable[..., T], *arguments: Any) -> T:
        return await to_thread.run_sync(function, *arguments, limiter=self._decoders)

    def _job(self, job: Job) -> dict[str, Any]:
        """A job as the page sees it."""
        files = self._site.queue.files(job)
        return {
            "id": job.id,
            "name": job.name,
            "state": job.state,
            "wanted": job.wanted,
            "message": job.message,
            "command": as_text(shlex.join(job.command())),
            "result": as_text(Path(job.output or job.target).name),
            "has_result": bool(job.output) and Path(job.output).is_file(),
            "partial": job.is_partial,
            "frames": job.frames,
            "seconds": job.seconds,
            "progress": files.progress() if job.state == "running" else None,
            "has_picture": files.picture.is_file(),
        }


async def page_file(_request: Request, *, name: str) -> Response:
    """A file of the page."""
    package = "vsr.live.monitor" if name == "figures.js" else "vsr.web"
    content = files(package).joinpath(name).read_bytes()
    return Response(content, media_type=PAGE_FILES[name])


@asynccontextmanager
async def _run_queue(_app: Starlette, *, site: Site) -> AsyncIterator[None]:
    """Run the queue and remove old films as long as the server runs."""
    tasks = [asyncio.create_task(_tick(site)), asyncio.create_task(_clean(site))]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
        while site.queue.interrupt_all():
            await asyncio.sleep(TICK_S)


async def _tick(site: Site) -> None:
    while True:
        with _logged("the queue"):
            site.queue.tick()
        await asyncio.sleep(TICK_S)


async def _clean(site: Site) -> None:
    while True:
        used = _sources_in_use(site.queue)
        with _logged("the folder of dropped films"):
            await to_thread.run_sync(site.uploads.remove_old, used)
        await asyncio.sleep(CLEAN_EVERY_S)


@contextmanager
def _logged(what: str) -> Iterator[None]:
    """Log what the disk refuses: a task that ends by it ends unseen."""
    try:
        yield
    except OSError as error:
        _log.warning(what, f"{what}: {error}; tried again")


def _sources_in_use(queue: Queue) -> set[str]:
    return {job.source for job in queue.jobs if job.state != "done"}


async def _explain(_request: Request, error: Exception) -> Response:
    status = error.status if isinstance(error, RequestError) else 422
    return JSONResponse({"error": as_text(str(error))}, status)


async def _hang_up(_request: Request, _error: Exception) -> Response:
    return Response(status_code=499)


def _output(job: Job) -> Path:
    output = Path(job.output)
    if not job.output or not output.is_file():
        raise RequestError("this job has no result yet", 404)
    return output


def _film(film: Film) -> dict[str, Any]:
    return {
        "id": film.id,
        "name": film.name,
        "size": film.size,
        "modified": film.modified,
        "uploaded": film.uploaded,
    }
