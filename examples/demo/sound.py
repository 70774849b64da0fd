"""The demo's sound: a plucked tune that wanders from ear to ear."""

from __future__ import annotations

import math
import wave
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

SAMPLE_RATE = 48000
_TUNE = (0, 7, 12, 4, 9, 16, 7, 14)
"""Semitones above the lowest note, one for each quarter of a second."""
_LOWEST_HZ = 220


def render_sound(seconds: float) -> NDArray[np.float32]:
    """Give the tune, (2, samples) in [-1, 1], left first."""
    total = round(seconds * SAMPLE_RATE)
    sound = np.zeros((2, total), np.float32)
    for beat, start in enumerate(range(0, total, SAMPLE_RATE // 4)):
        pan = 0.5 + 0.4 * math.sin(0.7 * beat)
        note = _pluck(_LOWEST_HZ * 2 ** (_TUNE[beat % len(_TUNE)] / 12), total - start)
        sound[:, start:] += np.array([[1 - pan], [pan]], np.float32) * note
    return sound.clip(-1, 1)


def write_wave(sound: NDArray[np.float32], path: Path) -> None:
    """Write (channels, samples) in [-1, 1] as 16-bit PCM."""
    with wave.open(str(path), "wb") as file:
        file.setnchannels(len(sound))
        file.setsampwidth(2)
        file.setframerate(SAMPLE_RATE)
        file.writeframes((sound.T * 32767).astype("<i2").tobytes())


def _pluck(pitch_hz: float, samples: int) -> NDArray[np.float32]:
    """Give a note whose overtones fade sooner than its fundamental."""
    time = np.arange(samples, dtype=np.float32) / SAMPLE_RATE
    note = np.zeros(samples, np.float32)
    for overtone in (1, 2, 3):
        fade = np.exp(-4 * overtone * time) / overtone
        note += 0.16 * fade * np.sin(math.tau * pitch_hz * overtone * time)
    return note
