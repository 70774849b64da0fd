"""A stream between two steps as a file, so that it can go on later, or elsewhere.

The file is safetensors: tensors of the state and frames that wait, and JSON that says what belongs
where. Nothing in it is executed: classes are looked up among those the program has loaded already.
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Mapping
from dataclasses import asdict, fields, is_dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from vsr.engine.entrance import Entered
from vsr.engine.settings import Settings
from vsr.engine.stream import Counts, Stream
from vsr.engine.timeline import Frame, Timeline
from vsr.errors import CheckpointError
from vsr.models.checkpoint import write_tensors
from vsr.models.network import Network

FORMAT = 1
KEY = "vsr"
WAITING = "waiting"


def save_stream(path: Path, stream: Stream, network: Network[Any], *, waiting: bool = True) -> None:
    """Write a stream; the file is replaced as a whole, or not at all.

    Args:
        path: The file.
        stream: Between two steps.
        network: Whose state it is.
        waiting: With the frames that wait; otherwise they have to be pushed again.

    Raises:
        OpenError: It cannot be written.
    """
    tensors: dict[str, Tensor] = {}
    timeline = stream.timeline
    frames = timeline.frames if waiting else ()
    if frames:
        tensors[WAITING] = torch.stack([frame.pixels for frame in frames]).cpu()
    facts = {
        "format": FORMAT,
        "network": identity(network),
        "settings": asdict(stream.settings),
        "counts": asdict(stream.counts),
        "time_base": str(timeline.entered.time_base if timeline.entered else 1),
        "size": timeline.size,
        "at_scene_start": timeline.at_scene_start,
        "pts": [frame.pts for frame in frames],
        "starts_scene": [frame.starts_scene for frame in frames],
        "sizes": stream.guard.history,
        "state": _describe(stream.state, tensors),
    }
    write_tensors(tensors, path, metadata={KEY: json.dumps(facts)})


def load_stream(path: Path, stream: Stream, network: Network[Any]) -> None:
    """Make a stream what ``save_stream`` wrote."""
    try:
        with safe_open(path, framework="pt") as file:
            facts = json.loads((file.metadata() or {})[KEY])
            tensors = {name: file.get_tensor(name).to(stream.device) for name in file.keys()}  # noqa: SIM118
        _check(path, facts, network)
        state = _build(facts["state"], tensors)
        timeline = _timeline(facts, tensors)
        settings = Settings(**{**facts["settings"], "tiles": tuple(facts["settings"]["tiles"])})
        counts = Counts(**facts["counts"])
    except (OSError, SafetensorError, KeyError, TypeError, ValueError) as error:
        raise CheckpointError(
            f"'{path}' is no state of a stream ({error}); give a file that Restorer.save wrote"
        ) from error
    stream.reset()
    stream.settings, stream.counts = settings, counts
    stream.timeline, stream.state = timeline, state
    stream.guard.history = facts["sizes"]


def identity(network: Network[Any]) -> dict[str, str]:
    """What a state depends on: architecture, precision and weights."""
    digest = hashlib.sha256()
    for parameter in network.parameters():
        values = parameter.detach().cpu().contiguous().view(-1)
        digest.update(values.view(torch.uint8).numpy().tobytes())
    precision = str(network.dtype).removeprefix("torch.")
    return {
        "name": network.facts.name,
        "precision": precision,
        "weights": digest.hexdigest()[:16],
    }


def _check(path: Path, facts: dict[str, Any], network: Network[Any]) -> None:
    if facts["format"] != FORMAT:
        raise CheckpointError(
            f"'{path}' has format {facts['format']}; {FORMAT} is accepted: save it again"
        )
    saved, here = facts["network"], identity(network)
    if saved != here:
        raise CheckpointError(
            f"'{path}' is a state of {' '.join(saved.values())}; this is {' '.join(here.values())}:"
            " go on with the network it was saved with"
        )


def _timeline(facts: dict[str, Any], tensors: dict[str, Tensor]) -> Timeline:
    timeline = Timeline()
    timeline.at_scene_start = facts["at_scene_start"]
    if facts["size"] is not None:
        height, width = facts["size"]
        timeline.entered = Entered(
            size=(height, width),
            time_base=Fraction(facts["time_base"]),
            # Frames that are not in the file have to be pushed again.
            last_pts=max(facts["pts"], default=None),
        )
    if facts["pts"]:
        waiting = zip(tensors[WAITING], facts["pts"], facts["starts_scene"], strict=True)
        for pixels, pts, starts in waiting:
            timeline.frames.append(Frame(pixels=pixels, pts=pts, starts_scene=starts))
    return timeline


def _describe(state: Any, tensors: dict[str, Tensor]) -> Any:
    """A state as JSON; its tensors go into the dictionary."""
    if isinstance(state, Tensor):
        # Convolutions choose their way by the layout, so that it is part of what is kept.
        strides = state.stride()
        order = sorted(range(state.ndim), key=lambda axis: -strides[axis])
        name = f"state.{len(tensors)}"
        tensors[name] = state.permute(order).contiguous().cpu()
        return {"tensor": name, "order": order}
    if is_dataclass(state) and not isinstance(state, type):
        held = {f.name: _describe(getattr(state, f.name), tensors) for f in fields(state)}
        return {"class": [type(state).__module__, type(state).__qualname__], "fields": held}
    if isinstance(state, Mapping):
        return {"map": [[key, _describe(value, tensors)] for key, value in state.items()]}
    if isinstance(state, (list, tuple)):
        kind = "list" if isinstance(state, list) else "tuple"
        return {kind: [_describe(value, tensors) for value in state]}
    return {"value": state}


def _build(tree: Any, tensors: dict[str, Tensor]) -> Any:
    """The state that ``_describe`` described."""
    (kind, content), *_ = tree.items()
    if kind == "tensor":
        order = tree["order"]
        return tensors[content].permute([order.index(axis) for axis in range(len(order))])
    if kind == "class":
        held = {name: _build(value, tensors) for name, value in tree["fields"].items()}
        return _state_class(*content)(**held)
    if kind == "map":
        return {key: _build(value, tensors) for key, value in content}
    if kind in ("list", "tuple"):
        built = [_build(value, tensors) for value in content]
        return built if kind == "list" else tuple(built)
    return content


def _state_class(module: str, name: str) -> type[Any]:
    """A dataclass that is loaded already: a file must not be able to bring in code."""
    found = getattr(sys.modules.get(module), name, None)
    if not (isinstance(found, type) and is_dataclass(found)):
        raise ValueError(f"its state is a {module}.{name}, which is not known here")
    return found
