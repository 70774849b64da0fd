"""Bytes of live tensors while a network runs on PyTorch's meta device.

There tensors have shapes and no data, and an operator costs only Python's time. A network repeats
a few hundred operators thousands of times, and a few dozen calls of its modules for every frame:
the results of both are cached by the shapes of their arguments.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, fields, is_dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from vsr.engine.operator_shapes import shape_of_result, tensors_in
from vsr.models.state_tree import named_tensors, rebuild


class LiveTensors(TorchDispatchMode):
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
        out = self._operators.call(func, args, kwargs or {})
        for tensor in (out,) if isinstance(out, Tensor) else tree_leaves(out):
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
    """Cache of operator calls on the meta device, by the layout of their arguments.

    A network repeats a few hundred calls thousands of times, and each takes torch a millisecond in
    Python there: nearly all of the time of a plan.
    """

    def __init__(self) -> None:
        self._results: dict[Hashable, tuple[torch.Size, tuple[int, ...], torch.dtype] | None] = {}

    def call(self, func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """The result of a call, computed by torch where it is a view or is not cached."""
        given = list(tensors_in((*args, *kwargs.values())))
        if not _is_hollow(given, kwargs):
            return func(*args, **kwargs)
        if given and _writes_in_place(func):
            return args[0]
        if "out" in kwargs:
            return kwargs["out"]
        key = (func, _key_of(args), _key_of(tuple(kwargs.items())))
        if (known := self._results.get(key)) is not None:
            shape, stride, dtype = known
            return torch.empty_strided(shape, stride, dtype=dtype, device="meta")
        out = shape_of_result(func, args, kwargs)
        if out is None:
            out = func(*args, **kwargs)
        if key not in self._results:
            self._results[key] = _described(out, given)
        return out


def _writes_in_place(func: Callable[..., Any]) -> bool:
    """Whether a call returns its first tensor with other values and the same shape."""
    name = func.__name__.partition(".")[0]
    return name.endswith("_") and torch.Tag.inplace_view not in func.tags  # type: ignore[attr-defined]


def _is_hollow(given: Sequence[Tensor], kwargs: dict[str, Any]) -> bool:
    """Whether a call's result has no values: its arguments have none, or it creates a tensor."""
    if given:
        return all(tensor.is_meta for tensor in given)
    return kwargs.get("device") == torch.device("meta")


def _key_of(value: Any) -> Hashable:
    """Cache key of a call: of tensors, shape, strides and type.

    The stride of a batch of one says nothing, and differs with the window that a frame is from.
    """
    if isinstance(value, Tensor):
        strides = value.stride()
        return value.shape, strides[1:] if value.shape[:1] == (1,) else strides, value.dtype
    if value is None or isinstance(value, (int, float, str)):
        return value
    if isinstance(value, (list, tuple)):
        return tuple(map(_key_of, value))
    if is_dataclass(value) and not isinstance(value, type):
        return type(value), *(_key_of(getattr(value, field.name)) for field in fields(value))
    plain: Hashable = value
    return plain


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


OWN_METHODS = ("prepare", "align", "advance")
"""Methods of a network itself that make tensors from tensors and keep none."""

METHODS = ("forward", "between", *OWN_METHODS)
"""The same of its modules."""


def remember_calls(network: nn.Module, living: LiveTensors) -> None:
    """Cache the calls of a network's modules.

    Args:
        network: On the meta device; it is changed and can be used for nothing else afterwards.
        living: Counts the bytes of the calls' tensors.
    """
    for module in network.modules():
        names = OWN_METHODS if module is network else METHODS
        if next(module.children(), None) is not None:
            for name in (name for name in names if hasattr(type(module), name)):
                setattr(module, name, RememberedCalls(getattr(module, name), living))


class RememberedCalls:
    """Calls of one method: from the second of the same shapes on, only its memory is counted.

    Args:
        method: A method whose results depend on the shapes of its arguments alone: new tensors, or
            its arguments.
        living: Counts the bytes of the calls' tensors.
    """

    def __init__(self, method: Callable[..., Any], living: LiveTensors) -> None:
        self._method, self._living = method, living
        self._known: dict[Hashable, _Call] = {}

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        given = (args, tuple(kwargs.items()))
        key = _key_of(given)
        if not _is_plain(key):
            return self._method(*args, **kwargs)
        if (known := self._known.get(key)) is not None:
            self._living.peak = max(self._living.peak, self._living.now + known.rise)
            return known.make([tensor for _, tensor in named_tensors(given)])
        living = self._living
        start, before, living.peak = living.now, living.peak, living.now
        out = self._method(*args, **kwargs)
        rise, living.peak = living.peak - start, max(before, living.peak)
        call = _Call.of(out, [tensor for _, tensor in named_tensors(given)], rise)
        if living.now - start == call.size:
            self._known[key] = call
        return out


Layout = tuple[int, torch.Size, tuple[int, ...], int, torch.dtype]
"""Values of a storage; shape, strides, offset and type of its tensor."""


@dataclass(frozen=True, kw_only=True)
class _Call:
    """Memory of a call, and a recipe of its result.

    Attributes:
        rise: Bytes by which the peak exceeds the live bytes before the call.
        size: Bytes of the result's own tensors.
        tree: The result with other tensors.
        leaves: Layout of each tensor, or its place among the arguments.
    """

    rise: int
    size: int
    tree: Any
    leaves: tuple[int | Layout, ...]

    @classmethod
    def of(cls, out: Any, given: Sequence[Tensor], rise: int) -> _Call:
        """The description of a result."""
        # A frame's own comes before its neighbour's, which may be the same once.
        places = {id(given[place]): place for place in reversed(range(len(given)))}
        tensors = [tensor for _, tensor in named_tensors(out)]
        own = [tensor for tensor in tensors if id(tensor) not in places]
        nothing = torch.empty(0, device="meta")
        return cls(
            rise=rise,
            size=sum(tensor.untyped_storage().nbytes() for tensor in own),
            tree=rebuild(out, lambda _: nothing),
            leaves=tuple(places.get(id(tensor), _layout(tensor)) for tensor in tensors),
        )

    def make(self, given: Sequence[Tensor]) -> Any:
        """A result without values."""
        leaves = iter(self.leaves)

        def leaf(_: Tensor) -> Tensor:
            found = next(leaves)
            if isinstance(found, int):
                return given[found]
            values, shape, stride, offset, dtype = found
            made = torch.empty(values, dtype=dtype, device="meta")
            return made.as_strided(shape, stride, offset)

        return rebuild(self.tree, leaf)


def _layout(tensor: Tensor) -> Layout:
    values = tensor.untyped_storage().nbytes() // tensor.itemsize
    return values, tensor.shape, tensor.stride(), int(tensor.storage_offset()), tensor.dtype


def _is_plain(key: Hashable) -> bool:
    """Whether a key is made of shapes and simple values alone."""
    if isinstance(key, tuple):
        return all(map(_is_plain, key))
    return key is None or isinstance(key, (bool, int, float, str, type, torch.dtype))
