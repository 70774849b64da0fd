"""Saving and loading a stream between two steps.

The file is safetensors: state tensors, waiting frames, and JSON that describes what belongs
where. Nothing in it is executed: a class is named by its tag, among those of the network.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields, is_dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, TypeVar

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from vsr.engine.settings import Settings
from vsr.engine.stream import Counts, Stream
from vsr.engine.tiling import TilesState
from vsr.engine.window import AcceptedInput, Timeline
from vsr.errors import CheckpointError, ConfigurationError
from vsr.models.checkpoints.checkpoint import write_tensors
from vsr.models.network import Network
from vsr.types import Chunk

Kind = TypeVar("Kind")

MALFORMED = (
    LookupError,
    TypeError,
    ValueError,
    ArithmeticError,
    AttributeError,
    RecursionError,
    ConfigurationError,
)
"""Exceptions raised by a damaged description; not a lack of memory."""

FORMAT = 2
KEY = "vsr"
WAITING = "waiting"
DIGEST = "sha256"


def save_stream(path: Path, stream: Stream, network: Network[Any], *, waiting: bool = True) -> None:
    """Write a stream; the file is replaced as a whole, or not at all.

    Args:
        path: The file.
        stream: A stream between two steps.
        network: Network that the state belongs to.
        waiting: Include waiting frames; otherwise they have to be pushed again.

    Raises:
        OpenError: The file cannot be written.
        CheckpointError: The state holds a dataclass without a ``TAG``.
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
        "time_base": str(timeline.accepted.time_base if timeline.accepted else 1),
        "size": timeline.size,
        "at_scene_start": timeline.at_scene_start,
        "pts": [frame.pts for frame in frames],
        "starts_scene": [frame.starts_scene for frame in frames],
        "sizes": stream.guard.history,
        "state": _describe(stream.state, tensors),
    }
    text = json.dumps(facts)
    write_tensors(tensors, path, metadata={KEY: text, DIGEST: digest_of(text, tensors)})


def load_stream(path: Path, stream: Stream, networks: Sequence[Network[Any]]) -> Network[Any]:
    """Load what ``save_stream`` wrote into a stream.

    Args:
        path: The file.
        stream: The stream.
        networks: The networks that it may have been saved with.

    Returns:
        The one that it was saved with.

    Raises:
        CheckpointError: See ``Restorer.load``; the stream is unchanged.
    """
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        if metadata[DIGEST] != digest_of(metadata[KEY], tensors):
            raise ValueError("it was changed after it was written")
        facts = _a(dict, json.loads(metadata[KEY]))
        tensors = {name: tensor.to(stream.device) for name, tensor in tensors.items()}
        network = _find(path, facts, networks)
        state = _build(facts["state"], tensors, _classes_of(network))
        timeline = _timeline(facts, tensors)
        settings, counts = _settings(facts["settings"]), _counts(facts["counts"])
        sizes = [_all(float, of_step) for of_step in _all(list, facts["sizes"])]
    except (OSError, SafetensorError, *MALFORMED) as error:
        raise CheckpointError(
            f"'{path}' is no state of a stream ({error}); give a file that Restorer.save wrote"
        ) from error
    stream.reset()
    stream.settings, stream.counts = settings, counts
    stream.timeline, stream.state = timeline, state
    stream.guard.history = sizes
    return network


def identity(network: Network[Any]) -> dict[str, str]:
    """Architecture, precision and a digest of the weights, on which a state depends."""
    digest = hashlib.sha256()
    for weight in network.state_dict().values():
        digest.update(_contents(weight.detach().cpu()))
    precision = str(network.dtype).removeprefix("torch.")
    return {
        "name": network.facts.name,
        "precision": precision,
        "weights": digest.hexdigest()[:16],
    }


def digest_of(text: str, tensors: Mapping[str, Tensor]) -> str:
    """Digest of a file's contents."""
    digest = hashlib.sha256(text.encode())
    for name in sorted(tensors):
        digest.update(f"{name} {tensors[name].dtype} {tuple(tensors[name].shape)}".encode())
        digest.update(_contents(tensors[name]))
    return digest.hexdigest()


def _contents(tensor: Tensor) -> memoryview:
    return tensor.contiguous().view(-1).view(torch.uint8).numpy().data


def _find(path: Path, facts: dict[str, Any], networks: Sequence[Network[Any]]) -> Network[Any]:
    """The network that a file was saved with."""
    if _a(int, facts["format"]) != FORMAT:
        raise CheckpointError(
            f"'{path}' has format {facts['format']}; {FORMAT} is accepted: save it again"
        )
    saved = _a(dict, facts["network"])
    for network in networks:
        if saved == identity(network):
            return network
    theirs = " ".join(_all(str, [*saved.values()]))
    raise CheckpointError(
        f"'{path}' is a state of {theirs}; this is {' '.join(identity(networks[0]).values())}:"
        " resume with the network it was saved with"
    )


def _timeline(facts: dict[str, Any], tensors: dict[str, Tensor]) -> Timeline:
    timeline = Timeline()
    timeline.at_scene_start = _a(bool, facts["at_scene_start"])
    pts, starts = _all(int, facts["pts"]), _all(bool, facts["starts_scene"])
    if not len(pts) == len(starts) == len(tensors.get(WAITING, ())):
        raise ValueError("frames, pts and marks are not as many as each other")
    if facts["size"] is None and not pts:
        return timeline
    height, width = _all(int, facts["size"])
    time_base = Fraction(_a(str, facts["time_base"]))
    # Frames that wait and are not in the file have to be pushed again: any pts may follow.
    timeline.accepted = AcceptedInput(size=(height, width), time_base=time_base, last_pts=None)
    if pts:
        marks = frozenset(i for i, marked in enumerate(starts) if marked)
        frames = tensors[WAITING]
        timeline.push(Chunk(frames=frames, pts=tuple(pts), time_base=time_base, scene_starts=marks))
    return timeline


def _settings(facts: Any) -> Settings:
    ahead, (rows, columns) = facts["look_ahead"], _all(int, facts["tiles"])
    return Settings(
        chunk=_a(int, facts["chunk"]),
        look_ahead=None if ahead is None else _a(int, ahead),
        tiles=(rows, columns),
    )


def _counts(facts: Any) -> Counts:
    return Counts(**{field.name: _a(int, facts[field.name]) for field in fields(Counts)})


def _a(kind: type[Kind], value: Any) -> Kind:
    """A value of one of JSON's types, checked."""
    if type(value) is not kind:
        raise TypeError(f"{value!r:.40} where it has a {kind.__name__}")
    return value


def _all(kind: type[Kind], values: Any) -> list[Kind]:
    return [_a(kind, value) for value in _a(list, values)]


def _describe(state: Any, tensors: dict[str, Tensor]) -> Any:
    """Describe a state as JSON and collect its tensors."""
    if isinstance(state, Tensor):
        # Convolutions choose their way by the layout, so that it is part of what is kept.
        strides = state.stride()
        order = sorted(range(state.ndim), key=lambda axis: -strides[axis])
        name = f"state.{len(tensors)}"
        tensors[name] = state.permute(order).contiguous().cpu()
        return {"tensor": name, "order": order}
    if is_dataclass(state) and not isinstance(state, type):
        held = {f.name: _describe(getattr(state, f.name), tensors) for f in fields(state)}
        return {"class": _tag_of(type(state)), "fields": held}
    if isinstance(state, Mapping):
        return {"map": [[key, _describe(value, tensors)] for key, value in state.items()]}
    if isinstance(state, (list, tuple)):
        kind = "list" if isinstance(state, list) else "tuple"
        return {kind: [_describe(value, tensors) for value in state]}
    return {"value": state}


def _tag_of(kind: type[Any]) -> str:
    tag = getattr(kind, "TAG", None)
    if not isinstance(tag, str):
        raise CheckpointError(
            f"a state of {kind.__name__} cannot be saved without a tag; give the class a TAG and "
            "list it in the network's state_classes"
        )
    return tag


def _build(tree: Any, tensors: dict[str, Tensor], classes: Mapping[str, type[Any]]) -> Any:
    """Rebuild the state that ``_describe`` described."""
    (kind, content), *_ = tree.items()
    if kind == "tensor":
        tensor, order = tensors[content], tree["order"]
        if sorted(order) != list(range(tensor.ndim)):
            raise ValueError(f"axes {order} of a tensor that has {tensor.ndim}")
        return tensor.permute([order.index(axis) for axis in range(tensor.ndim)])
    if kind == "class":
        held = {name: _build(value, tensors, classes) for name, value in tree["fields"].items()}
        if content not in classes:
            raise ValueError(f"its state is a {content}, which is not known here")
        return classes[content](**held)
    if kind == "map":
        return {key: _build(value, tensors, classes) for key, value in content}
    if kind in ("list", "tuple"):
        built = [_build(value, tensors, classes) for value in content]
        return built if kind == "list" else tuple(built)
    if kind != "value":
        raise ValueError(f"its state holds a {kind!r}")
    return content


def _classes_of(network: Network[Any]) -> dict[str, type[Any]]:
    """The state classes of a network by tag."""
    networks = [module for module in network.modules() if isinstance(module, Network)]
    classes: list[Any] = [TilesState, *(kind for each in networks for kind in each.state_classes)]
    return {kind.TAG: kind for kind in classes}
