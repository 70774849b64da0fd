"""Memory of one step, computed in advance.

A network is run on PyTorch's meta device, where tensors have shapes and no data, at the true
size of the frames, and the bytes of all tensors alive at once are followed from operation to
operation. That gives each network's cost in bytes per pixel and frame without a table to maintain,
for any width, precision and scale, in a second, most of which goes into loading what the meta
device needs. A look at a step on a few small frames takes a tenth of that, and says enough where
there is plenty. What a library needs inside one operation is not seen; ``OVERHEAD`` stands for it
(`python -m benchmarks.memory` measures it).

T time, H, W size.
"""

from __future__ import annotations

import copy
import weakref
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from vsr.engine.settings import Settings
from vsr.engine.state_tree import named_tensors
from vsr.engine.tiling import spans
from vsr.models.network import Network

OVERHEAD = 1.08
"""Ratio of measured to estimated bytes per step on a CPU; chosen so that the cases of
`python -m benchmarks.memory` come out right."""

LONGEST_SCENE = 250
"""Frames that a look-ahead to the end of the scene is reckoned with: ten seconds."""

FLOAT = 4
"""Bytes of a value of a frame."""

FAR, NEARER = 16, 11
"""Look-ahead in frames beyond which each further frame is taken to cost what the last ones do: a
multiple of IconVSR's stride of key frames apart."""

MANY, FEWER = 16, 12
"""The same of the frames of a chunk: no plan takes longer because somebody asks for 1,000."""

PAST = 6
"""Frames after which a state is as large as it gets."""

PROBE = 64
"""Side of the frames on which networks are tried that look at values, not only at sizes."""

LOOK = 32
"""Side of the frames of a look."""


def step_bytes(
    network: Network[Any], settings: Settings, height: int, width: int, batch: int = 1
) -> int:
    """Peak device memory of a step: window, state, features, output.

    Args:
        network: On any device, in its final precision; not changed.
        settings: Step sizes.
        height: Rows of a frame.
        width: Columns of a frame.
        batch: Number of streams in a joint step.
    """
    scale = network.facts.scale
    ahead = LONGEST_SCENE if settings.look_ahead is None else settings.look_ahead
    radius = network.facts.receptive_radius
    sides = zip((height, width), settings.tiles, strict=True)
    rows, columns = (spans(side, count, radius) for side, count in sides)
    tile = [max(span.end - span.start for span in along) for along in (rows, columns)]
    peak, state = _extrapolated(network, batch, settings.chunk, ahead, tile)
    frame = 3 * FLOAT * batch * height * width
    window, result = (settings.chunk + ahead) * frame, settings.chunk * frame * scale**2
    num_tiles = len(rows) * len(columns)
    if num_tiles > 1:
        # Besides the tile at work: the others' states, old and new, all frames, and the result.
        peak += 2 * (num_tiles - 1) * state + window + result
    if batch > 1:
        # At the end the result and the new states are there twice.
        peak = max(peak, window + 3 * num_tiles * state + 2 * result)
    return round(OVERHEAD * peak)


def look_bytes(network: Network[Any], height: int, width: int) -> int:
    """Quick estimate of the memory of a step with one frame and one of look-ahead.

    Args:
        network: As for ``step_bytes``; it is executed.
        height: Rows of a frame.
        width: Columns of a frame.
    """
    peak, _ = _probe(network, (1, 1, 1, height, width), LOOK)
    return round(OVERHEAD * peak)


def weight_bytes(network: nn.Module) -> int:
    """Memory of parameters and buffers."""
    return sum(t.untyped_storage().nbytes() for t in (*network.parameters(), *network.buffers()))


def _on_meta_device(network: Network[Any]) -> Network[Any]:
    """A copy on the meta device, made without copying weights."""
    emptied: dict[int, Any] = {}
    for tensor in (*network.parameters(), *network.buffers()):
        empty = torch.empty_like(tensor, device="meta")
        keeps = isinstance(tensor, nn.Parameter)
        emptied[id(tensor)] = nn.Parameter(empty, requires_grad=False) if keeps else empty
    return copy.deepcopy(network, emptied)


def _peak(network: Network[Any], sizes: tuple[int, ...]) -> tuple[float, float]:
    """Peak bytes of a step with a past, and bytes of its state."""
    try:
        return _follow(_on_meta_device(network), sizes, "meta")
    except (NotImplementedError, RuntimeError):
        # A network that decides by what it sees cannot run without contents.
        return _probe(network, sizes, PROBE)


def _extrapolated(
    network: Network[Any], batch: int, chunk: int, ahead: int, tile: Sequence[int]
) -> tuple[float, float]:
    """``_peak``, extrapolated from steps of at most ``MANY`` + ``FAR`` frames."""
    most, farthest = min(chunk, MANY), min(ahead, FAR)
    peak, state = _peak(network, (batch, most, farthest, *tile))
    whole = peak
    if ahead > FAR:
        nearer, _ = _peak(network, (batch, most, NEARER, *tile))
        whole += (ahead - FAR) * (peak - nearer) / (FAR - NEARER)
    if chunk > MANY:
        fewer, _ = _peak(network, (batch, FEWER, farthest, *tile))
        whole += (chunk - MANY) * (peak - fewer) / (MANY - FEWER)
    return whole, state


def _probe(network: Network[Any], sizes: tuple[int, ...], side: int) -> tuple[float, float]:
    """``_peak``, extrapolated by area from a step on small frames."""
    *others, height, width = sizes
    probed = (*others, min(height, side), min(width, side))
    area = height * width / (probed[-1] * probed[-2])
    device = next((str(p.device) for p in network.parameters()), "cpu")
    peak, state = _follow(network, probed, device)
    return area * peak, area * state


@torch.inference_mode()
def _follow(network: Network[Any], sizes: tuple[int, ...], device: str) -> tuple[float, float]:
    batch, chunk, look_ahead, height, width = sizes
    with _LiveTensors() as living:
        window = torch.zeros(batch, chunk + look_ahead, 3, height, width, device=device)
        # As much of a past as any step leaves; a full first step would only take longer.
        before = min(chunk, PAST)
        restored, state = network.step(
            window[:, : before + look_ahead], None, before, ends_scene=False
        )
        del restored
        storages = {
            t.untyped_storage()._cdata: t.untyped_storage() for _, t in named_tensors(state)
        }
        held = sum(storage.nbytes() for storage in storages.values())
        # What a network keeps of its first step, such as weights laid out anew, is no frame's.
        kept = max(0, living.now - window.untyped_storage().nbytes() - held)
        living.peak = living.now
        network.step(window, state, chunk, ends_scene=False)
    return float(living.peak - kept), float(held)


class _LiveTensors(TorchDispatchMode):
    """Tracks the bytes of all live tensors."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.now = self.peak = 0
        self._known: set[int] = set()
        self._operators = OperatorCache()

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """False: asking torch would load its compiler, which takes 0.6 s."""
        return False

    def __torch_dispatch__(
        self,
        func: Callable[..., Any],
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        if _is_hollow_sampling(func, args):
            out = _sampled(*args[:2])
        elif _is_hollow_resize(func, args):
            out = _resized(*args)
        else:
            out = self._operators.call(func, args, kwargs or {})
        for tensor in tree_leaves(out):
            # What oneDNN packs is its own: it stays for good, and is as large as the weights.
            if isinstance(tensor, Tensor) and tensor.layout == torch.strided:
                self._add(tensor.untyped_storage())
        return out

    def _add(self, storage: torch.UntypedStorage) -> None:
        key = storage._cdata
        if key not in self._known:
            self._known.add(key)
            self.now += storage.nbytes()
            self.peak = max(self.peak, self.now)
            weakref.finalize(storage, self._remove, key, storage.nbytes())

    def _remove(self, key: int, size: int) -> None:
        self._known.discard(key)
        self.now -= size


class OperatorCache:
    """Calls of operators on the meta device, whose results are remembered by what went in.

    A network repeats a few hundred calls thousands of times, and each takes torch a millisecond in
    Python there: nearly all of the time of a plan.
    """

    def __init__(self) -> None:
        self._results: dict[Hashable, tuple[torch.Size, tuple[int, ...], torch.dtype] | None] = {}

    def call(self, func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """The result of a call, made by torch where it is a view or was not seen before."""
        given = list(_tensors((*args, *kwargs.values())))
        if not _is_hollow(given, kwargs):
            return func(*args, **kwargs)
        if given and _writes_in_place(func):
            return args[0]
        key = (func, _key_of(args), _key_of(tuple(kwargs.items())))
        if (known := self._results.get(key)) is not None:
            shape, stride, dtype = known
            return torch.empty_strided(shape, stride, dtype=dtype, device="meta")
        out = func(*args, **kwargs)
        if key not in self._results:
            self._results[key] = _described(out, given)
        return out


def _writes_in_place(func: Callable[..., Any]) -> bool:
    """Whether a call returns its first tensor with other values and the same shape."""
    name = func.__name__.partition(".")[0]
    return name.endswith("_") and torch.Tag.inplace_view not in func.tags  # type: ignore[attr-defined]


def _is_hollow(given: Sequence[Tensor], kwargs: dict[str, Any]) -> bool:
    """Whether a call's result has no values: its tensors have none, or it makes one without."""
    if given:
        return all(tensor.is_meta for tensor in given)
    return kwargs.get("device") == torch.device("meta")


def _tensors(values: Iterable[Any]) -> Iterator[Tensor]:
    """The tensors among arguments, those of lists included."""
    for value in values:
        if isinstance(value, Tensor):
            yield value
        elif isinstance(value, (list, tuple)):
            yield from _tensors(value)


def _key_of(value: Any) -> Hashable:
    """What a result depends on: of tensors, shape, strides and type."""
    if isinstance(value, Tensor):
        return value.shape, value.stride(), value.dtype
    return tuple(map(_key_of, value)) if isinstance(value, (list, tuple)) else value


def _described(
    out: Any, given: Sequence[Tensor]
) -> tuple[torch.Size, tuple[int, ...], torch.dtype] | None:
    """Shape, strides and type of a result that has a storage of its own; None for others."""
    if not isinstance(out, Tensor) or out.storage_offset():
        return None
    storage = out.untyped_storage()._cdata
    if any(tensor.untyped_storage()._cdata == storage for tensor in given):
        return None
    return out.shape, out.stride(), out.dtype


_SAMPLING = (torch.ops.aten.grid_sampler.default, torch.ops.aten.grid_sampler_2d.default)


def _is_hollow_sampling(func: Callable[..., Any], args: tuple[Any, ...]) -> bool:
    """Whether a grid is sampled on the meta device.

    torch does that there by some fifty operations in Python: most of the time of a plan.
    """
    return func in _SAMPLING and args[0].is_meta


def _sampled(features: Tensor, grid: Tensor) -> Tensor:
    """What sampling gives: (B, K, H, W) at the grid's size."""
    return features.new_empty(*features.shape[:2], *grid.shape[1:3])


def _is_hollow_resize(func: Callable[..., Any], args: tuple[Any, ...]) -> bool:
    """The same of pictures that are resized."""
    return func is torch.ops.aten.upsample_bilinear2d.vec and args[0].is_meta


def _resized(
    features: Tensor,
    size: Sequence[int] | None,
    _align_corners: bool,
    factors: Sequence[float] | None = None,
) -> Tensor:
    """What resizing gives, (B, K, H, W): of this size, or by these factors."""
    sides = size or [int(s * f) for s, f in zip(features.shape[-2:], factors or (), strict=True)]
    return features.new_empty(*features.shape[:2], *sides)
