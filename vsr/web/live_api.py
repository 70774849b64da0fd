"""The requests of the page about live streams."""

from __future__ import annotations

import shlex
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Any

from anyio import to_thread
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from vsr.web.bodies import as_text, read_object
from vsr.web.errors import RequestError
from vsr.web.library import Film
from vsr.web.streams import PATHS, Stream, Streams, parse_wanted, shown_ends


def live_routes(
    streams: Streams, checked_film: Callable[[str], Awaitable[Film]]
) -> Sequence[Route]:
    """Routes below ``/api/streams``.

    Args:
        streams: The streams.
        checked_film: Returns the film with an id, or raises.
    """
    api = _LiveApi(streams, checked_film)
    return [
        Route("/api/streams", api.streams),
        Route("/api/streams", api.add, methods=["POST"]),
        Route("/api/streams/{stream}", api.remove, methods=["DELETE"]),
        *(
            Route(f"/api/streams/{{stream}}/{what}", partial(api.fetch, what=what))
            for what in PATHS
        ),
        Route("/api/streams/{stream}/{action:str}", api.change, methods=["POST"]),
    ]


class _LiveApi:
    def __init__(self, streams: Streams, checked_film: Callable[[str], Awaitable[Film]]) -> None:
        self._streams, self._checked_film = streams, checked_film

    async def streams(self, request: Request) -> Response:
        return JSONResponse({"streams": [await self._plain(one) for one in self._streams.streams]})

    async def add(self, request: Request) -> Response:
        given = await read_object(request)
        film = str((await self._checked_film(str(given["film"]))).path) if "film" in given else None
        return JSONResponse(await self._plain(self._streams.add(parse_wanted(given, film))), 201)

    async def change(self, request: Request) -> Response:
        actions: dict[str, Callable[[Stream], Stream]]
        actions = {"stop": self._streams.stop, "start": self._streams.again}
        action = actions.get(request.path_params["action"])
        if action is None:
            raise RequestError(f"a stream can do one of {', '.join(actions)}", 404)
        return JSONResponse(await self._plain(action(self._of_request(request))))

    async def remove(self, request: Request) -> Response:
        self._streams.remove(self._of_request(request))
        return Response(status_code=204)

    async def fetch(self, request: Request, *, what: str) -> Response:
        stream = self._of_request(request)
        try:
            fetched = await to_thread.run_sync(self._streams.fetch, stream, what)
        except RequestError:
            if what == "metrics":
                raise
            # A stream that starts or ends has no picture for a moment, which is no error.
            return Response(status_code=204)
        return Response(fetched.content, headers={"content-type": fetched.kind})

    def _of_request(self, request: Request) -> Stream:
        return self._streams.find(request.path_params["stream"])

    async def _plain(self, stream: Stream) -> dict[str, Any]:
        """A stream as the page sees it."""
        source, target = shown_ends(stream)
        return {
            "id": stream.id,
            "name": stream.wanted.name,
            "source": as_text(source),
            "target": as_text(target),
            "state": stream.state,
            "is_stopping": stream.is_stopping,
            "message": stream.message,
            "command": as_text(shlex.join(self._streams.command(stream))),
            "figures": await to_thread.run_sync(self._streams.figures, stream),
        }
