"""What is known of a network that people can name: facts only, no code of the network."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

HASH_DIGITS = 8
"""Hexadecimal digits of the SHA-256 at the end of an official file's name."""


@dataclass(frozen=True, kw_only=True)
class Quality:
    """A figure somebody published.

    Attributes:
        data: Test set, with its degradation where it has several: ``REDS4``, ``Vid4 BD``.
        channels: What was compared: ``RGB`` or ``Y``.
        psnr_db: Mean over frames, then clips.
        ssim: The same.
        source: Who published it.
    """

    data: str
    channels: str
    psnr_db: float
    ssim: float
    source: str


@dataclass(frozen=True, kw_only=True)
class OfficialFile:
    """A checkpoint on its authors' server.

    Attributes:
        path: Below the server's base address.
    """

    path: str

    @property
    def name(self) -> str:
        """The file's own name, also in the cache."""
        return self.path.rpartition("/")[2]

    @property
    def sha256_prefix(self) -> str:
        """The first digits of its SHA-256, lower case, which its name ends in."""
        return self.name.partition(".")[0][-HASH_DIGITS:]


@dataclass(frozen=True, kw_only=True)
class Model:
    """A name that people give.

    Attributes:
        architecture: A key of ``ARCHITECTURES``.
        summary: One line: what it is.
        options: What the network is built with where no weights tell.
        weights: File in ``SHIPPED``; None where there is nothing to load or it is elsewhere.
        needs_weights: Whether weights are needed that do not come with the package.
        file: The official checkpoint to pull; None where there is none or the user brings one.
        scale: Output size over input size; None where the checkpoint decides.
        degradation: What it was trained to undo: ``BI``, MATLAB's bicubic; ``BD``, blur and then
            every 4th pixel; ``real``, random blur, noise, scaling and compression; empty where
            nothing was trained or the checkpoint decides.
        trained_on: Data set, or empty.
        parameters: Their number; None where the checkpoint decides.
        size_multiple: The network works on sides that are multiples of this; others are padded
            before and cropped after it. None where the checkpoint decides.
        quality: Published figures on its own degradation, the most telling first.
        licence: Of the weights, or empty.
        notice: What people have to be told when they pull the weights, or empty.
    """

    architecture: str
    summary: str
    options: dict[str, Any] = field(default_factory=dict)
    weights: str | None = None
    needs_weights: bool = False
    file: OfficialFile | None = None
    scale: int | None = None
    degradation: str = ""
    trained_on: str = ""
    parameters: int | None = None
    size_multiple: int | None = 1
    quality: tuple[Quality, ...] = ()
    licence: str = ""
    notice: str = ""
