"""Detection of diverging recurrent state.

Recurrent networks can amplify their own features on long, still footage until the picture is lost
(Chiche et al., "Stable Long-Term Recurrent Video Super-Resolution", CVPR 2022). A state has
diverged when it, or the picture of the same step, holds a NaN or infinity, or when its
features are many times as large as over the last steps, and still grow, and the past is the reason.
After an unmarked cut they jump and then decay by themselves; where the content has changed
for good, features are as large in a step that is taken without the past.

On CUDA the figures travel to the host while the network goes on and are judged when they have
arrived, which is behind the step: what left before is out, pictures without numbers too. Only where
a step had no past, once in a scene, are its figures waited for, so that what a network gives by
itself is judged before it leaves, as everything is on a CPU.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass
from statistics import median
from typing import Any

import torch
from torch import Tensor

from vsr.models.state_tree import named_tensors

MEMORY = 128
"""Steps whose sizes the median is taken of: long, so that slow growth does not carry it along."""

FEWEST = 4
"""Steps before a size is judged; a scene's first features are small."""

RATIO = 8.0
"""Times the median that is divergence if the next step is not smaller: a choice, not yet held
against long real footage. Black, then a picture, without a mark: 23 times with `compact-x4`, then
8, 4 and 2."""

LEAP = RATIO**2
"""Times the median that is divergence without waiting for the next step."""

EVERY = 16
"""One restored pixel in so many rows and columns is looked at: convolutions spread what is no
number over many more."""


@dataclass(frozen=True, kw_only=True)
class Divergence:
    """A diverged state.

    Attributes:
        reason: Completes the sentence "the state …".
        finite: Whether all values are finite; the other attributes hold only then.
        feature: Name of the feature that has grown.
        usual: Usual root mean square of the features.
        times: Present root mean square, as a multiple of ``usual``.
    """

    reason: str
    finite: bool
    feature: int = 0
    usual: float = 0.0
    times: float = 0.0


@dataclass(frozen=True, kw_only=True, eq=False)
class _Reading:
    """A measurement in transfer to the host: root mean squares, features first."""

    sizes: Tensor
    num_features: int
    arrived: torch.cuda.Event | None


class DivergenceGuard:
    """Checks the states of one stream for divergence."""

    def __init__(self) -> None:
        self._sizes: deque[list[float]] = deque(maxlen=MEMORY)
        self._readings: deque[_Reading] = deque()

    @property
    def history(self) -> list[list[float]]:
        """Feature sizes after past steps, oldest first."""
        return [list(sizes) for sizes in self._sizes]

    @history.setter
    def history(self, sizes: list[list[float]]) -> None:
        self._sizes = deque(sizes, maxlen=MEMORY)
        self._readings.clear()

    def watch(self, state: Any, restored: Tensor) -> None:
        """Measure a state and a sample of the restored pixels (T, C, H, W)."""
        tensors = [(n, t) for n, t in named_tensors(state) if _is_measured(t)]
        features = [t for name, t in tensors if _holds_features(name)]
        others = [t for name, t in tensors if not _holds_features(name)]
        others.append(restored[..., ::EVERY, ::EVERY])
        sizes = torch.stack([_root_mean_square(tensor) for tensor in features + others])
        self._readings.append(_send(sizes, len(features)))

    def check(self, *, wait: bool = False) -> Divergence | None:
        """The first divergence among the measured states; None if there is none so far.

        Args:
            wait: Wait for all pending measurements.
        """
        if wait:
            self._latest()
        while self._readings and _has_arrived(self._readings[0]):
            reading = self._readings.popleft()
            fault = self._fault(reading)
            if fault is not None:
                self._readings.clear()
                return fault
        return None

    def caused_by_content(self, fault: Divergence) -> bool:
        """Whether features are as large in the last step, which was computed without state.

        They need not grow as much, since a scene's first features are small: it is enough that they
        are nearer to the suspicious size than to the usual one. Waits for the measurements.
        """
        size = float(self._latest().sizes[fault.feature])
        return math.isfinite(size) and (size / fault.usual) ** 2 > fault.times

    def discard_pending(self) -> None:
        """Discard pending measurements; their states are no longer used."""
        self._readings.clear()

    def reset_baseline(self) -> None:
        """Start a new median: a scene begins, or the growth came from the content."""
        self._sizes.clear()
        self.discard_pending()

    def _latest(self) -> _Reading:
        """The latest measurement; waits until it has arrived."""
        reading = self._readings[-1]
        if reading.arrived is not None:
            reading.arrived.synchronize()
        return reading

    def _fault(self, reading: _Reading) -> Divergence | None:
        sizes: list[float] = reading.sizes.tolist()
        if not all(map(math.isfinite, sizes)):
            return Divergence(reason="holds NaN or infinite values", finite=False)
        features = sizes[: reading.num_features]
        alike = [past for past in self._sizes if len(past) == len(features)]
        if len(alike) >= FEWEST:
            for i, (size, *past) in enumerate(zip(features, *alike, strict=True)):
                usual = median(past)
                persists = RATIO * usual < past[-1] <= size
                if (persists or size > LEAP * usual) and usual > 0:
                    return _growth(i, size, usual)
        self._sizes.append(features)
        return None


def _growth(feature: int, size: float, usual: float) -> Divergence:
    times = size / usual
    return Divergence(
        reason=f"is {times:.0f} times its usual size",
        finite=True,
        feature=feature,
        usual=usual,
        times=times,
    )


def _holds_features(name: str) -> bool:
    """Whether a field holds features, by its axes; flows and frames change with the content."""
    return not name or "K" in name.rpartition("_")[2]


def _is_measured(tensor: Tensor) -> bool:
    """Whether a tensor holds floating-point or quantised features."""
    return tensor.numel() > 0 and (tensor.is_floating_point() or tensor.dtype == torch.int8)


def _root_mean_square(tensor: Tensor) -> Tensor:
    numbers = tensor if tensor.is_floating_point() else tensor.float()
    norm: Tensor = torch.linalg.vector_norm(numbers, dtype=torch.float32)
    return norm / math.sqrt(tensor.numel())


def _send(sizes: Tensor, num_features: int) -> _Reading:
    if sizes.device.type != "cuda":
        return _Reading(sizes=sizes, num_features=num_features, arrived=None)
    here = torch.empty(sizes.shape, dtype=sizes.dtype, pin_memory=True)
    here.copy_(sizes, non_blocking=True)
    arrived = torch.cuda.Event()  # type: ignore[no-untyped-call]
    arrived.record(torch.cuda.current_stream(sizes.device))
    return _Reading(sizes=here, num_features=num_features, arrived=arrived)


def _has_arrived(reading: _Reading) -> bool:
    return reading.arrived is None or bool(reading.arrived.query())  # type: ignore[no-untyped-call]
