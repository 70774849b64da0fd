"""Shapes of operators' results on PyTorch's meta device, without PyTorch's own rules for them.

Those are in Python. They load its compiler and a computer algebra system, which takes three
seconds and 300 MB, and run an operator as dozens of others. Unknown operators are left to them.

B batch, K features, H, W size.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import reduce
from typing import Any

import numpy as np
import torch
from torch import Tensor

_ATEN = torch.ops.aten

SMALL = 1 << 14
"""Values of an operator's arguments up to which it is run with them."""

Pair = Sequence[int]
"""A number for each of two axes, or one for both."""


def shape_of_result(func: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Tensor | None:
    """An operator's result on the meta device; None where its shape is not known here.

    Args:
        func: The operator.
        args: Its arguments; all of their tensors are on the meta device.
        kwargs: Its named arguments.
    """
    if rule := _RULES.get(func):
        return rule(*args, **kwargs)
    if func in _MAKERS:
        made: Tensor = func(*args, **{**kwargs, "device": "cpu"})
        return made.to("meta")
    if torch.Tag.pointwise in func.tags or func in _POINTWISE:
        return _by_broadcasting(func, args, kwargs)
    return _by_empty_batches(func, args, kwargs) if func in _BATCHWISE else None


def tensors_in(values: Iterable[Any]) -> Iterator[Tensor]:
    """The tensors among arguments, those of lists included."""
    for value in values:
        if isinstance(value, Tensor):
            yield value
        elif isinstance(value, (list, tuple)):
            yield from tensors_in(value)


def _by_broadcasting(func: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Tensor:
    """The result of an elementwise operator; a tensor of one value gives the type."""
    given = list(tensors_in((*args, *kwargs.values())))
    wide: Sequence[Tensor] = torch.broadcast_tensors(*given)  # type: ignore[no-untyped-call]
    shape = wide[0].shape
    dtype = func(*_on_cpu(args, single=True), **kwargs).dtype
    axes = _from_innermost(wide)
    strides, values = [0] * len(shape), 1
    for axis in axes:
        strides[axis] = values
        values *= max(1, shape[axis])
    return torch.empty_strided(shape, strides, dtype=dtype, device="meta")


def _from_innermost(tensors: Sequence[Tensor]) -> list[int]:
    """Axes in the order in which torch lays a result out: by the arguments' strides."""
    axes = list(reversed(range(tensors[0].ndim)))
    for end in range(1, len(axes)):
        place = end
        for before in reversed(range(end)):
            order = _compare(tensors, axes[before], axes[place])
            if order < 0:
                break
            if order > 0:
                axes[before], axes[place] = axes[place], axes[before]
                place = before
    return axes


def _compare(tensors: Sequence[Tensor], inner: int, outer: int) -> int:
    """Whether two axes are in order (-1), the other way round (1), or it does not matter (0)."""
    for tensor in tensors:
        one, other = tensor.stride(inner), tensor.stride(outer)
        if one == 0 or other == 0:
            continue
        if one != other:
            return -1 if one < other else 1
        if tensor.shape[inner] > tensor.shape[outer]:
            return 1
    return 0


def _by_empty_batches(func: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Tensor | None:
    """The result of an operator that is run on a CPU with empty batches.

    Small constants, which have no batch, are passed unchanged. None where the first axis of the
    result is not the batch.
    """
    given = list(tensors_in((*args, *kwargs.values())))
    deepest = max((tensor.ndim for tensor in given), default=0)
    is_small = sum(tensor.numel() for tensor in given) <= SMALL
    try:
        out = func(*_on_cpu(args, emptied=None if is_small else deepest), **kwargs)
    except (RuntimeError, IndexError):
        return None
    if not isinstance(out, Tensor):
        return None
    if is_small:
        return out.to("meta")
    if not out.ndim or out.shape[0]:
        return None
    batch = max(tensor.shape[0] for tensor in given if tensor.ndim == deepest)
    return torch.empty_strided(
        (batch, *out.shape[1:]), out.stride(), dtype=out.dtype, device="meta"
    )


def _on_cpu(
    values: Sequence[Any], *, emptied: int | None = None, single: bool = False
) -> list[Any]:
    """Arguments with tensors on a CPU.

    Args:
        values: The arguments.
        emptied: Axes of tensors that get no batch.
        single: Give each tensor one value.
    """
    moved: list[Any] = []
    for value in values:
        if isinstance(value, (list, tuple)):
            moved.append(_on_cpu(value, emptied=emptied, single=single))
        elif isinstance(value, Tensor):
            shape = (0, *value.shape[1:]) if value.ndim == emptied else value.shape
            shape = (1,) * value.ndim if single else shape
            made = torch.empty_strided(shape, value.stride(), dtype=value.dtype)
            moved.append(made if made.is_floating_point() else made.zero_())
        else:
            moved.append(value)
    return moved


def _sampled(features: Tensor, grid: Tensor, *_: Any) -> Tensor:
    """A grid of samples: (B, K, H, W) at the grid's size."""
    return features.new_empty(*features.shape[:2], *grid.shape[1:3])


def _resized(
    features: Tensor,
    size: Sequence[int] | None,
    _align_corners: bool,
    factors: Sequence[float] | None = None,
) -> Tensor:
    """Resized pictures, (B, K, H, W): of this size, or by these factors."""
    sides = size or [int(s * f) for s, f in zip(features.shape[-2:], factors or (), strict=True)]
    shape = (*features.shape[:2], *sides)
    return _empty(shape, features.dtype, channels_last=is_channels_last(features))


def _repeated_pixels(
    features: Tensor, size: Sequence[int] | None, factors: Sequence[float] | None = None
) -> Tensor:
    """Resized pictures without interpolation, (B, K, H, W)."""
    return _resized(features, size, _align_corners=False, factors=factors)


def _unshuffled(pictures: Tensor, factor: int) -> Tensor:
    """Pictures with squares of pixels as channels."""
    *batch, colours, height, width = pictures.shape
    return pictures.new_empty(*batch, colours * factor**2, height // factor, width // factor)


def _convolved(
    features: Tensor,
    weight: Tensor,
    _bias: Tensor | None = None,
    stride: Pair = (1,),
    padding: Pair = (0,),
    dilation: Pair = (1,),
    _groups: int = 1,
) -> Tensor:
    """(B, K, H, W), laid out in this order: the device, which decides, is not known."""
    sides = [
        (side + 2 * pad - step * (tap - 1) - 1) // jump + 1
        for side, tap, jump, pad, step in zip(
            features.shape[2:],
            weight.shape[2:],
            *(2 * list(pair) if len(pair) == 1 else pair for pair in (stride, padding, dilation)),
            strict=True,
        )
    ]
    shape = (features.shape[0], weight.shape[0], *sides)
    return _empty(shape, features.dtype, channels_last=False)


def _joined(tensors: Sequence[Tensor], dim: int = 0) -> Tensor:
    """Concatenated tensors; channels-last where all of them are."""
    shape = list(tensors[0].shape)
    shape[dim] = sum(tensor.shape[dim] for tensor in tensors)
    dtype = reduce(torch.promote_types, (tensor.dtype for tensor in tensors))
    return _empty(shape, dtype, channels_last=all(map(is_channels_last, tensors)))


def _stacked(tensors: Sequence[Tensor], dim: int = 0) -> Tensor:
    """Tensors along a new axis."""
    shape = list(tensors[0].shape)
    dim %= len(shape) + 1
    shape.insert(dim, len(tensors))
    if dim == tensors[0].ndim:
        return _joined([tensor.unsqueeze(-1) for tensor in tensors], -1)
    return _joined(tensors, dim).view(shape)


def _multiplied(one: Tensor, other: Tensor) -> Tensor:
    """The product of matrices, or of batches of them."""
    batch = np.broadcast_shapes(one.shape[:-2], other.shape[:-2])
    shape = (*batch, one.shape[-2], other.shape[-1])
    return _empty(shape, one.dtype, channels_last=False)


def _repeated(tensor: Tensor, repeats: Sequence[int]) -> Tensor:
    """A tensor several times along each axis."""
    shape = [1] * (len(repeats) - tensor.ndim) + list(tensor.shape)
    sides = [side * times for side, times in zip(shape, repeats, strict=True)]
    return _empty(sides, tensor.dtype, channels_last=False)


def _empty(shape: Sequence[int], dtype: torch.dtype, *, channels_last: bool) -> Tensor:
    order = torch.channels_last if channels_last else torch.contiguous_format
    return torch.empty(shape, dtype=dtype, device="meta", memory_format=order)


def is_channels_last(tensor: Tensor) -> bool:
    """Whether channels are the innermost axis of a tensor, as torch sees it by the strides."""
    if tensor.ndim != 4 or 0 in tensor.shape:
        return False
    smallest = 0
    for axis in (1, 3, 2, 0):
        stride = tensor.stride(axis)
        if stride < smallest or (axis == 0 and smallest == tensor.stride(1)):
            return False
        smallest = stride * tensor.shape[axis]
    return tensor.stride(1) > 0


_RULES: dict[Any, Callable[..., Tensor]] = {
    _ATEN.grid_sampler.default: _sampled,
    _ATEN.grid_sampler_2d.default: _sampled,
    _ATEN.upsample_bilinear2d.vec: _resized,
    _ATEN._upsample_bilinear2d_aa.vec: _resized,
    _ATEN.upsample_bicubic2d.vec: _resized,
    _ATEN.upsample_nearest2d.vec: _repeated_pixels,
    _ATEN.pixel_unshuffle.default: _unshuffled,
    _ATEN.conv2d.default: _convolved,
    _ATEN.cat.default: _joined,
    _ATEN.stack.default: _stacked,
    _ATEN.repeat.default: _repeated,
    _ATEN.mm.default: _multiplied,
    _ATEN.matmul.default: _multiplied,
}

_MAKERS = {_ATEN.arange.default, _ATEN.arange.start, _ATEN.eye.default}
"""Operators that make a small tensor from numbers."""

_POINTWISE = {
    _ATEN.flip.default,
    _ATEN.zeros_like.default,
    _ATEN.empty_like.default,
    _ATEN.where.self,
    _ATEN.where.ScalarOther,
}
"""Operators whose result is laid out as that of a pointwise one, beside those that torch marks."""

_BATCHWISE = {
    _ATEN.prelu.default,
    _ATEN.avg_pool2d.default,
    _ATEN.max_pool2d.default,
    _ATEN.pad.default,
    _ATEN.softmax.int,
    _ATEN.pixel_shuffle.default,
    _ATEN.index_select.default,
    _ATEN.mean.dim,
    _ATEN.amax.default,
    _ATEN.sum.dim_IntList,
    _ATEN.einsum.default,
}
"""Operators that do the same to every batch."""
