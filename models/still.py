"""Skipping what stands still: only the parts of a frame that change are restored.

In slides, talks and the picture of a fixed camera most of a frame stays, but for what the encoder
corrects in it. A window is compared with the pixels that were restored last, cell by cell; around
the cells that changed, boxes are restored, and elsewhere the last restored frame is shown again.
The comparison is with what was restored, not with the frame before, so that a slow change is seen
once it is large enough.

    frame            boxes                      a box: its middle is shown, the
    . . . . . . .    . . . . . . .              border is only seen
    . . x x . . .    +-------+. .
    . . . x . . .    | +---+ |. .
    . . . . . . .    | +---+ |. .

B batch, T time, C colour, H, W size of a frame; h, w cells.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any, ClassVar, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from vsr.errors import ConfigurationError
from vsr.models.layers.propagation import PropagationState
from vsr.models.layers.single_frame import SingleFrameNetwork
from vsr.models.network import Network
from vsr.models.state_tree import after_gap, concatenate, rebuild, split

CELL = 16
"""Side of a cell in pixels."""

DEVIATION = 2 / 255
"""Root mean square change, in [0, 1], up to which a cell stands still."""

LARGEST = 16 / 255
"""Largest change of a pixel up to which it does."""

SHOWN = 8
"""Pixels around changed cells that are shown anew."""

SEEN = 24
"""Pixels around those that the network sees."""

MOST = 0.7
"""Share of the frame in boxes above which the whole is restored."""

_GAP = 2 * (SHOWN + SEEN) // CELL
"""Cells without change between two boxes: with fewer the boxes would overlap."""


class Box(NamedTuple):
    """A part of a frame, in pixels; the ends are excluded."""

    top: int
    bottom: int
    left: int
    right: int

    def grown(self, by: int, height: int, width: int) -> Box:
        """A larger box, within a frame."""
        top, left = max(0, self.top - by), max(0, self.left - by)
        return Box(top, min(height, self.bottom + by), left, min(width, self.right + by))

    def within(self, other: Box) -> Box:
        """The same place, counted from the corner of a box around it."""
        top, left = other.top, other.left
        return Box(self.top - top, self.bottom - top, self.left - left, self.right - left)

    @property
    def size(self) -> tuple[int, int]:
        """Rows and columns."""
        return self.bottom - self.top, self.right - self.left

    @property
    def area(self) -> int:
        """Number of pixels."""
        return self.size[0] * self.size[1]


@dataclass(frozen=True, kw_only=True, eq=False)
class StillState:
    """State of a network that skips what stands still.

    Attributes:
        inner: State of the network.
        seen_BCHW: The pixels that were restored last, at every place.
        shown_BCHW: The last restored frame.
    """

    TAG: ClassVar[str] = "still.v1"

    inner: Any
    seen_BCHW: Tensor
    shown_BCHW: Tensor

    def after_gap(self) -> StillState:
        """The state after skipped frames: what the network keeps of its own; pixels stay valid."""
        return replace(self, inner=after_gap(self.inner))


class Still(Network[StillState]):
    """A network that restores only what changes.

    Args:
        network: ``compact``, ``basicvsr``, or one that restores each frame by itself.

    Raises:
        ConfigurationError: It is another kind of network.
    """

    state_classes = (StillState,)

    def __init__(self, network: Network[Any]) -> None:
        super().__init__()
        kinds = network.state_classes
        recurrent = bool(kinds) and all(issubclass(kind, PropagationState) for kind in kinds)
        if not recurrent and not isinstance(network, SingleFrameNetwork):
            raise ConfigurationError(
                f"{network.facts.name} cannot skip what stands still; leave that (--skip-still) to "
                "compact, basicvsr and networks that restore each frame by itself"
            )
        self.network = network
        self.facts = replace(
            network.facts,
            name=f"{network.facts.name} where it changes",
            stateless=False,
            receptive_radius=None,
        )

    @property
    def dtype(self) -> torch.dtype:
        return self.network.dtype

    @property
    def has_int8(self) -> bool:
        return self.network.has_int8

    @property
    def is_close_in_int8(self) -> bool:
        return self.network.is_close_in_int8

    def in_int8(self) -> Still:
        return Still(self.network.in_int8())

    def measured(self, clips_BTCHW: Iterable[Tensor]) -> Still:
        return Still(self.network.measured(clips_BTCHW))

    def step(
        self,
        window_BTCHW: Tensor,
        state: StillState | None,
        num_keep: int,
        *,
        ends_scene: bool = True,
    ) -> tuple[Tensor, StillState]:
        # Where memory is planned, frames have no values.
        if state is None or window_BTCHW.is_meta:
            return self._whole(window_BTCHW, state, num_keep)
        if len(window_BTCHW) > 1:
            return self._each(window_BTCHW, state, num_keep)
        height, width = window_BTCHW.shape[-2:]
        boxes = list(_boxes(_changed(window_BTCHW, state.seen_BCHW), height, width))
        if sum(box.grown(SEEN, height, width).area for box in boxes) > MOST * height * width:
            return self._whole(window_BTCHW, state, num_keep)
        return self._parts(window_BTCHW, state, num_keep, boxes)

    def _whole(
        self, window_BTCHW: Tensor, state: StillState | None, num_keep: int
    ) -> tuple[Tensor, StillState]:
        """Restore whole frames."""
        past = None if state is None else state.inner
        restored_BTCHW, inner = self.network.step(window_BTCHW, past, num_keep)
        seen_BCHW, shown_BCHW = window_BTCHW[:, num_keep - 1], restored_BTCHW[:, -1]
        left = StillState(inner=inner, seen_BCHW=seen_BCHW.clone(), shown_BCHW=shown_BCHW.clone())
        return restored_BTCHW, left

    def _each(
        self, window_BTCHW: Tensor, state: StillState, num_keep: int
    ) -> tuple[Tensor, StillState]:
        """Restore each stream of a batch by itself: each stands still elsewhere."""
        pasts = split(state, len(window_BTCHW))
        windows = torch.split(window_BTCHW, 1)
        alone = [self.step(w, s, num_keep) for w, s in zip(windows, pasts, strict=True)]
        restored, states = zip(*alone, strict=True)
        return torch.cat(restored), concatenate(states)

    def _parts(
        self, window_BTCHW: Tensor, state: StillState, num_keep: int, boxes: list[Box]
    ) -> tuple[Tensor, StillState]:
        """Restore boxes, and show what is around them again."""
        frame = (window_BTCHW.shape[-2], window_BTCHW.shape[-1])
        scale = self.facts.scale
        restored_BTCHW = state.shown_BCHW[:, None].repeat(1, num_keep, 1, 1, 1)
        seen_BCHW = state.seen_BCHW.clone()
        inner = _unmoved(state.inner, window_BTCHW.shape[1] - num_keep)
        for shown in boxes:
            seen = shown.grown(SEEN, *frame)
            within = shown.within(seen)
            part_BTCHW = _cut(window_BTCHW, seen, frame).clone()
            past = _cut_state(state.inner, seen, frame)
            part, left = self.network.step(part_BTCHW, past, num_keep)
            _cut(restored_BTCHW, shown, frame, scale).copy_(_cut(part, within, seen.size, scale))
            _cut(seen_BCHW, shown, frame).copy_(_cut(window_BTCHW[:, num_keep - 1], shown, frame))
            _paste_state(left, within, seen.size, inner, shown, frame)
        shown_BCHW = restored_BTCHW[:, -1].clone()
        return restored_BTCHW, StillState(inner=inner, seen_BCHW=seen_BCHW, shown_BCHW=shown_BCHW)


def _changed(window_BTCHW: Tensor, seen_BCHW: Tensor) -> Tensor:
    """Cells (h, w) in which a frame of the window differs from what was restored last."""
    found: list[Tensor] = []
    for frame_BCHW in window_BTCHW.unbind(1):
        square_BCHW = (frame_BCHW - seen_BCHW).square_()
        mean_BChw = F.avg_pool2d(square_BCHW, CELL, ceil_mode=True)
        largest_BChw = F.max_pool2d(square_BCHW, CELL, ceil_mode=True)
        changed_BChw = largest_BChw > LARGEST**2
        changed_BChw |= mean_BChw.mean(1, keepdim=True) > DEVIATION**2
        found.append(changed_BChw.flatten(0, 1).any(0))
    return torch.stack(found).any(0).cpu()


def _boxes(changed_hw: Tensor, height: int, width: int) -> Iterator[Box]:
    """Boxes around changed cells, with ``SHOWN`` pixels more, that do not overlap."""
    rows, columns = (_runs(changed_hw.any(axis)) for axis in (1, 0))
    if len(rows) == len(columns) == 1:
        (top, bottom), (left, right) = rows[0], columns[0]
        box = Box(CELL * top, CELL * bottom, CELL * left, CELL * right)
        yield box.grown(SHOWN, height, width)
        return
    for top, bottom in rows:
        for left, right in columns:
            only_hw = torch.zeros_like(changed_hw)
            only_hw[top:bottom, left:right] = changed_hw[top:bottom, left:right]
            yield from _boxes(only_hw, height, width)


def _runs(changed: Tensor) -> list[tuple[int, int]]:
    """Begin and end of every run of changed rows or columns, with less than ``_GAP`` between."""
    runs: list[tuple[int, int]] = []
    for place in changed.nonzero().flatten().tolist():
        if runs and place < runs[-1][1] + _GAP:
            runs[-1] = runs[-1][0], place + 1
        else:
            runs.append((place, place + 1))
    return runs


def _cut(values: Tensor, box: Box, frame: tuple[int, int], size: float = 1) -> Tensor:
    """A box of values as a view.

    Args:
        values: (..., size H, size W), larger if the network pads a frame.
        box: The place in the frame.
        frame: H and W of the frame.
        size: Size of the values over that of the frame.
    """
    bottom = None if box.bottom == frame[0] else int(size * box.bottom)
    right = None if box.right == frame[1] else int(size * box.right)
    return values[..., int(size * box.top) : bottom, int(size * box.left) : right]


def _size(values: Tensor, frame: tuple[int, int]) -> float:
    """Size of values over that of a frame: a power of two but for padding."""
    side, axis = max((frame[0], -2), (frame[1], -1))  # padding matters least to the longer side
    return next(s for s in (0.25, 0.5, 1.0, 2.0, 4.0) if values.shape[axis] < 1.5 * s * side)


def _cut_state(
    state: PropagationState | None, box: Box, frame: tuple[int, int]
) -> PropagationState | None:
    if state is None:
        return None
    cut: PropagationState = rebuild(
        state, lambda values: _cut(values, box, frame, _size(values, frame)).clone()
    )
    return cut


def _paste_state(
    part: PropagationState | None,
    within: Box,
    seen: tuple[int, int],
    state: PropagationState | None,
    shown: Box,
    frame: tuple[int, int],
) -> None:
    """Write a box of the state of a part into the whole state."""
    if part is None or state is None:
        return
    for name, values in vars(state).items():
        size = _size(values, frame)
        _cut(values, shown, frame, size).copy_(_cut(vars(part)[name], within, seen, size))


def _unmoved(state: PropagationState | None, look_ahead: int) -> PropagationState | None:
    """A copy of a state, to be written to, whose look-ahead does not move."""
    if state is None:
        return None
    whole: PropagationState = rebuild(state, torch.clone)
    flow_B2HW = whole.forward_BP2HW.new_zeros(1, look_ahead, *whole.forward_BP2HW.shape[2:])
    return replace(whole, forward_BP2HW=flow_B2HW, backward_BP2HW=flow_B2HW.clone())
