"""The checkpoints OpenMMLab publishes for our networks; `vsr models pull NAME` brings them.

Figures are those of mmagic's model zoo (README.md and metafile.yml of configs/basicvsr,
configs/iconvsr, configs/edvr). It measures RealBasicVSR without a reference (NRQM, NIQE, PI,
BRISQUE), so that there is no PSNR to list.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
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


BASE_URL = "https://download.openmmlab.com/mmediting/restorers/"
"""What the paths of the files are below of."""

_figure = partial(Quality, source="mmagic model zoo")

_SPYNET_NOTICE = (
    "the optical flow network inside (SPyNet) is licensed for non-commercial research only"
)

_WITH_SPYNET = "Apache-2.0, SPyNet part non-commercial research"

_basicvsr = partial(
    Model,
    architecture="basicvsr",
    needs_weights=True,
    scale=4,
    parameters=6_291_311,
    licence=_WITH_SPYNET,
    notice=_SPYNET_NOTICE,
)

_iconvsr = partial(
    Model,
    architecture="iconvsr",
    needs_weights=True,
    scale=4,
    size_multiple=4,
    licence=_WITH_SPYNET,
    notice=_SPYNET_NOTICE,
)

_edvr = partial(
    Model,
    architecture="edvr",
    needs_weights=True,
    scale=4,
    degradation="BI",
    trained_on="REDS",
    size_multiple=4,
    licence="Apache-2.0",
)

_LARGE = {"num_feat": 128, "num_reconstruct_block": 40}

OFFICIAL: dict[str, Model] = {
    "basicvsr_reds4": _basicvsr(
        summary="BasicVSR, bicubic degradation of REDS",
        file=OfficialFile(path="basicvsr/basicvsr_reds4_20120409-0e599677.pth"),
        degradation="BI",
        trained_on="REDS",
        quality=(_figure(data="REDS4", channels="RGB", psnr_db=31.4170, ssim=0.8909),),
    ),
    "basicvsr_vimeo90k_bi": _basicvsr(
        summary="BasicVSR, bicubic degradation of Vimeo-90K",
        file=OfficialFile(path="basicvsr/basicvsr_vimeo90k_bi_20210409-d2d8f760.pth"),
        degradation="BI",
        trained_on="Vimeo-90K",
        quality=(_figure(data="Vid4 BI", channels="Y", psnr_db=27.2755, ssim=0.8248),),
    ),
    "basicvsr_vimeo90k_bd": _basicvsr(
        summary="BasicVSR, blur-downsampling of Vimeo-90K",
        file=OfficialFile(path="basicvsr/basicvsr_vimeo90k_bd_20210409-0154dd64.pth"),
        degradation="BD",
        trained_on="Vimeo-90K",
        quality=(
            _figure(data="Vid4 BD", channels="Y", psnr_db=27.9791, ssim=0.8556),
            _figure(data="UDM10 BD", channels="Y", psnr_db=39.9953, ssim=0.9695),
        ),
    ),
    "iconvsr_reds4": _iconvsr(
        summary="IconVSR, bicubic degradation of REDS",
        file=OfficialFile(path="iconvsr/iconvsr_reds4_20210413-9e09d621.pth"),
        degradation="BI",
        trained_on="REDS",
        parameters=8_694_991,
        quality=(_figure(data="REDS4", channels="RGB", psnr_db=31.6926, ssim=0.8951),),
    ),
    "iconvsr_vimeo90k_bi": _iconvsr(
        summary="IconVSR, bicubic degradation of Vimeo-90K",
        file=OfficialFile(path="iconvsr/iconvsr_vimeo90k_bi_20210413-7c7418dc.pth"),
        options={"temporal_padding": 3},
        degradation="BI",
        trained_on="Vimeo-90K",
        parameters=8_711_375,
        quality=(_figure(data="Vid4 BI", channels="Y", psnr_db=27.4238, ssim=0.8297),),
    ),
    "iconvsr_vimeo90k_bd": _iconvsr(
        summary="IconVSR, blur-downsampling of Vimeo-90K",
        file=OfficialFile(path="iconvsr/iconvsr_vimeo90k_bd_20210414-5f38cb34.pth"),
        options={"temporal_padding": 3},
        degradation="BD",
        trained_on="Vimeo-90K",
        parameters=8_711_375,
        quality=(
            _figure(data="Vid4 BD", channels="Y", psnr_db=28.2464, ssim=0.8612),
            _figure(data="UDM10 BD", channels="Y", psnr_db=40.0640, ssim=0.9697),
        ),
    ),
    "edvrm_wotsa_reds": _edvr(
        summary="EDVR-M without temporal and spatial attention, bicubic degradation of REDS",
        file=OfficialFile(path="edvr/edvrm_wotsa_x4_8x4_600k_reds_20200522-0570e567.pth"),
        options={"with_tsa": False},
        parameters=2_996_259,
        quality=(_figure(data="REDS4", channels="RGB", psnr_db=30.3430, ssim=0.8664),),
    ),
    "edvrm_reds_sr": _edvr(
        summary="EDVR-M, bicubic degradation of REDS",
        file=OfficialFile(path="edvr/edvrm_x4_8x4_600k_reds_20210625-e29b71b5.pth"),
        parameters=3_300_131,
        quality=(_figure(data="REDS4", channels="RGB", psnr_db=30.4194, ssim=0.8684),),
    ),
    "edvrl_wotsa_reds4": _edvr(
        summary="EDVR-L without temporal and spatial attention, bicubic degradation of REDS",
        file=OfficialFile(
            path="edvr/edvrl_wotsa_c128b40_8x8_lr2e-4_600k_reds4_20211228-d895a769.pth"
        ),
        options={**_LARGE, "with_tsa": False},
        parameters=19_419_875,
        quality=(_figure(data="REDS4", channels="RGB", psnr_db=31.0010, ssim=0.8784),),
    ),
    "edvrl_reds4": _edvr(
        summary="EDVR-L, bicubic degradation of REDS",
        file=OfficialFile(path="edvr/edvrl_c128b40_8x8_lr2e-4_600k_reds4_20220104-4509865f.pth"),
        options=_LARGE,
        parameters=20_633_827,
        quality=(_figure(data="REDS4", channels="RGB", psnr_db=31.0467, ssim=0.8793),),
    ),
    "realbasicvsr": Model(
        architecture="realbasicvsr",
        summary="RealBasicVSR, footage from the wild: cleans frames, then BasicVSR with 20 blocks",
        needs_weights=True,
        file=OfficialFile(
            path="real_basicvsr/realbasicvsr_c64b20_1x30x8_lr5e-5_150k_reds_20211104-52f77c2c.pth"
        ),
        scale=4,
        degradation="real",
        trained_on="REDS",
        parameters=6_294_834,
        licence=_WITH_SPYNET,
        notice=_SPYNET_NOTICE,
    ),
}
