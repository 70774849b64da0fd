"""Streaming video restoration: bidirectional networks on unbounded video, in bounded memory.

net = vsr.load_network("compact-x4")
restorer = vsr.Restorer(net)
with vsr.open_reader("in.mp4") as reader:
    for chunk in reader.chunks(8):
        restored += restorer.push(chunk)
restored += restorer.drain()
"""

from vsr.errors import VSRError
from vsr.models.catalogue import load_network
from vsr.restorer import Restorer
from vsr.streams import open_reader, open_writer
from vsr.types import Chunk, Colour, StreamInfo

__all__ = [
    "Chunk",
    "Colour",
    "Restorer",
    "StreamInfo",
    "VSRError",
    "load_network",
    "open_reader",
    "open_writer",
]
