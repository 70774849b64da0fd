"""Streaming video restoration: bidirectional networks on unbounded video, in bounded memory.

    net = vsr.load_network("compact-x4")
    restorer = vsr.Restorer(net)
    with vsr.open_reader("in.mp4") as reader:
        for chunk in reader.chunks(8):
            restored += restorer.push(chunk)
    restored += restorer.drain()

Names are imported when they are first used, so that torch is loaded only by what needs it.

Public are the names in ``__all__`` here and in ``vsr.streams``, the classes of ``vsr.types``,
``vsr.errors`` and ``vsr.results``, and the command line. All other modules may change without
notice.
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from vsr.cluster.restore import restore
    from vsr.engine.batch import BatchRestorer
    from vsr.errors import VSRError
    from vsr.live.service import run_live
    from vsr.models.loading import load_network
    from vsr.offline.options import RestoreOptions
    from vsr.restorer import Restorer
    from vsr.streams import open_reader, open_writer
    from vsr.types import Chunk, Colour, StreamInfo

if not Path(__file__).with_name("streams").is_dir():
    # In a checkout, vsr.streams, vsr.models and vsr.configs lie beside this folder: with this the
    # package can be imported from the checkout's root, however it is installed.
    __path__.append(str(Path(__file__).parents[1]))

_HOMES = {
    "BatchRestorer": "vsr.engine.batch",
    "Chunk": "vsr.types",
    "Colour": "vsr.types",
    "RestoreOptions": "vsr.offline.options",
    "Restorer": "vsr.restorer",
    "StreamInfo": "vsr.types",
    "VSRError": "vsr.errors",
    "load_network": "vsr.models.loading",
    "open_reader": "vsr.streams",
    "open_writer": "vsr.streams",
    "restore": "vsr.cluster.restore",
    "run_live": "vsr.live.service",
}

__all__ = [
    "BatchRestorer",
    "Chunk",
    "Colour",
    "RestoreOptions",
    "Restorer",
    "StreamInfo",
    "VSRError",
    "load_network",
    "open_reader",
    "open_writer",
    "restore",
    "run_live",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'vsr' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
