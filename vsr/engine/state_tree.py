"""States of any network as trees of tensors: dataclasses, mappings and sequences of them.

By convention the first axis of every tensor of a state is the batch, and names end in their axes.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import fields, is_dataclass, replace
from typing import Any, Protocol, Self, runtime_checkable

import torch
from torch import Tensor


@runtime_checkable
class Bridging(Protocol):
    """A state that can go on with a frame that does not follow the last one."""

    def after_gap(self) -> Self:
        """The past alone, without what was known of frames to come."""
        ...


def after_gap(state: Any) -> Any:
    """What is left of a state when frames are left out; None where nothing is."""
    return state.after_gap() if isinstance(state, Bridging) else None


def named_tensors(state: Any, name: str = "") -> Iterator[tuple[str, Tensor]]:
    """The tensors of a state in a fixed order, each with the field it is in."""
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
    """One state of several streams; their ``signature`` has to be the same."""
    columns = zip(*([t for _, t in named_tensors(state)] for state in states), strict=True)
    return rebuild(states[0], lambda _: torch.cat(next(columns)))


def split(state: Any, num_streams: int) -> list[Any]:
    """The states of streams that were stepped together, in their order, each by itself.

    They are copies: a part of a tensor would keep the others' parts in memory as long as itself.
    """
    return [
        rebuild(state, lambda t, i=i: t[i : i + 1].clone())  # type: ignore[misc]
        for i in range(num_streams)
    ]


def apart(restored_BTCHW: Tensor, state: Any) -> list[tuple[Tensor, Any]]:
    """What a step of several streams gave each of them: frames (T, C, H, W), and ``split`` states.

    Copies of both, for the reason given there.
    """
    frames = [one_TCHW.clone() for one_TCHW in restored_BTCHW]
    return list(zip(frames, split(state, len(frames)), strict=True))


def signature(state: Any) -> Hashable:
    """What states that can be concatenated have in common: shapes, and all that is no tensor."""
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
