"""Recurrent state as a tree of tensors in dataclasses, mappings and sequences.

By convention the first axis of every tensor is the batch, and field names end in their axes.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import fields, is_dataclass, replace
from typing import Any, ClassVar, Protocol, Self, runtime_checkable

import torch
from torch import Tensor


@runtime_checkable
class GapTolerant(Protocol):
    """A state that can continue after skipped frames."""

    def after_gap(self) -> Self:
        """The state of past frames, without that of future frames."""
        ...


@runtime_checkable
class Guarding(Protocol):
    """A state that records where a step has shown the faithful of two results.

    Attributes:
        replaces: Whether that was in place of artefacts.
    """

    replaces: ClassVar[bool]

    def faithful_share(self, height: int, width: int) -> Tensor | None:
        """(B, T, 1, height, width) of the restored frames, 0 to 1; None if nothing is known."""
        ...


def after_gap(state: Any) -> Any:
    """The part of a state that stays valid after skipped frames; None if nothing does."""
    return state.after_gap() if isinstance(state, GapTolerant) else None


def named_tensors(state: Any, name: str = "") -> Iterator[tuple[str, Tensor]]:
    """The tensors of a state in a fixed order, each with its field name."""
    if isinstance(state, Tensor):
        yield name, state
    elif is_dataclass(state) and not isinstance(state, type):
        for field in fields(state):
            yield from named_tensors(getattr(state, field.name), field.name)
    elif isinstance(state, Mapping):
        for value in state.values():
            yield from named_tensors(value, name)
    elif isinstance(state, (list, tuple)):
        for value in state:
            yield from named_tensors(value, name)


def rebuild(state: Any, change: Callable[[Tensor], Tensor]) -> Any:
    """The same tree with every tensor changed, in the order of ``named_tensors``."""
    if isinstance(state, Tensor):
        return change(state)
    if is_dataclass(state) and not isinstance(state, type):
        changed = {f.name: rebuild(getattr(state, f.name), change) for f in fields(state)}
        return replace(state, **changed)
    if isinstance(state, Mapping):
        return {key: rebuild(value, change) for key, value in state.items()}
    if isinstance(state, (list, tuple)):
        return type(state)(rebuild(value, change) for value in state)
    return state


def concatenate(states: Sequence[Any]) -> Any:
    """Concatenate the states of streams with the same ``signature``."""
    columns = zip(*([t for _, t in named_tensors(state)] for state in states), strict=True)
    return rebuild(states[0], lambda _: torch.cat(next(columns)))


def split(state: Any, num_streams: int) -> list[Any]:
    """Split the state of a joint step into one state per stream.

    They are copies, because a view would keep the memory of all streams alive.
    """
    return [
        rebuild(state, lambda t, i=i: t[i : i + 1].clone())  # type: ignore[misc]
        for i in range(num_streams)
    ]


def unbatch(restored_BTCHW: Tensor, state: Any) -> list[tuple[Tensor, Any]]:
    """Split the result of a joint step: frames (T, C, H, W) and state of each stream.

    Both are copies, for the reason given in ``split``.
    """
    frames = [one_TCHW.clone() for one_TCHW in restored_BTCHW]
    return list(zip(frames, split(state, len(frames)), strict=True))


def signature(state: Any) -> Hashable:
    """Shapes and non-tensor values, equal for states that can be concatenated."""
    if isinstance(state, Tensor):
        return (tuple(state.shape[1:]), state.dtype, state.device)
    if is_dataclass(state) and not isinstance(state, type):
        values = (signature(getattr(state, field.name)) for field in fields(state))
        return (type(state), *values)
    if isinstance(state, Mapping):
        return tuple((key, signature(value)) for key, value in state.items())
    if isinstance(state, (list, tuple)):
        return tuple(signature(value) for value in state)
    return state if isinstance(state, Hashable) else repr(state)
