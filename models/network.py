"""The interface of all networks: pure functions of (window, state), and their facts."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, ClassVar, Generic, TypeVar

import torch
from torch import Tensor, nn

from vsr.errors import ConfigurationError

State = TypeVar("State")


@dataclass(frozen=True, kw_only=True)
class NetworkFacts:
    """Facts of a network that the pipeline needs before it runs.

    Attributes:
        name: The architecture: ``compact``, ``basicvsr`` and so on.
        scale: Output size over input size.
        look_ahead: Default look-ahead in frames.
        chunk: Default chunk in frames.
        sees_end: The last frame of a scene is treated in its own way, so that a step has to wait
            until it is known not to hold it.
        stateless: Frames are restored independently, so that it does not matter where scenes
            begin.
        receptive_radius: Input pixels on each side that an output pixel depends on: tiles with so
            many real neighbours give exactly what whole frames do. None where it is the whole
            frame, or where a state carries what lies further away.
    """

    name: str
    scale: int
    look_ahead: int = 0
    chunk: int = 8
    sees_end: bool = False
    stateless: bool = False
    receptive_radius: int | None = None


class Network(nn.Module, ABC, Generic[State]):
    """A restoration network: weights only. What a stream carries is the caller's ``State``.

    Pixels are RGB in [0, 1], float32, whatever type the weights have; the output is not clamped.
    """

    facts: NetworkFacts
    state_classes: ClassVar[tuple[type[Any], ...]] = ()
    """The dataclasses that its state is made of. Each has a ``TAG``, by which a saved state names
    it; a tag outlives renamed classes and modules, and changes when the fields do."""

    @abstractmethod
    def step(
        self, window_BTCHW: Tensor, state: State | None, num_keep: int, *, ends_scene: bool = True
    ) -> tuple[Tensor, State]:
        """Restore the first frames of a window.

        Args:
            window_BTCHW: (B, T, 3, H, W): the frames to restore, then the look-ahead.
            state: What the previous step returned; None at the first frame of a scene.
            num_keep: Frames to restore, 1 <= num_keep <= T. The next window starts behind them.
            ends_scene: Whether the window's last frame is the scene's.

        Returns:
            The restored frames (B, num_keep, 3, scale H, scale W), and the state for the next step.
            The state passed in is left as it was.
        """

    def begin(self, tiles: Iterable[Tensor]) -> State | None:
        """Initial state that all tiles of a scene must share.

        Args:
            tiles: The scene's first window in tiles, (B, T, 3, H, W) each.

        Returns:
            None if there is none.
        """
        return None

    def part(self, size: tuple[int, int], rows: slice, columns: slice) -> Network[State]:
        """The network for a tile; itself, unless it treats places of a frame differently.

        Args:
            size: Rows and columns of the frame.
            rows: Rows of the tile.
            columns: Columns of the tile.
        """
        return self

    def forward(self, clip_BTCHW: Tensor) -> Tensor:
        """Restore a whole clip: (B, T, 3, H, W) to (B, T, 3, scale H, scale W).

        Raises:
            ConfigurationError: The input is not a clip of float32 frames.
        """
        shape, dtype = tuple(clip_BTCHW.shape), clip_BTCHW.dtype
        if len(shape) != 5 or shape[2] != 3 or 0 in shape or dtype != torch.float32:
            raise ConfigurationError(
                f"a clip is (B, T, 3, H, W) in [0, 1], float32; {shape} of {dtype} is none"
            )
        return self.step(clip_BTCHW, None, clip_BTCHW.shape[1])[0]

    @property
    def dtype(self) -> torch.dtype:
        """The type the weights have and the convolutions run in; int8 where the most of them do."""
        return next((p.dtype for p in self.parameters()), torch.float32)

    @property
    def has_int8(self) -> bool:
        """Whether the network has an int8 form."""
        return False

    @property
    def is_close_in_int8(self) -> bool:
        """Whether the int8 form is known to lose little, so that ``auto`` may take it."""
        return self.has_int8

    def in_int8(self) -> Network[State]:
        """A copy with 8-bit integer convolutions; this network is unchanged.

        Raises:
            ConfigurationError: It has no int8 form, or no calibrated ranges.
        """
        raise ConfigurationError(f"{self.facts.name} has no int8 form; give bfloat16 or float32")

    def _without_ranges(self) -> ConfigurationError:
        """The error for weights whose ranges nobody has measured."""
        return ConfigurationError(
            f"these weights of {self.facts.name} do not say how large features get, as int8 has to "
            "know; give another precision, or measure them with vsr models measure"
        )

    def measured(self, clips_BTCHW: Iterable[Tensor]) -> Network[State]:
        """The network with calibrated ranges, if it has an int8 form.

        Args:
            clips_BTCHW: Footage as it will see it, (B, T, 3, H, W), RGB in [0, 1].
        """
        return self
