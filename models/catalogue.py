"""The catalogue of models; readable without importing torch.

To add a network: a module in ``architectures/``, a line in ``architecture_table`` and one in
``MODELS``. Published checkpoints that can be pulled are in ``checkpoints/zoo``, those for faces,
which restore no whole frames, in ``checkpoints/face_zoo``.
"""

from __future__ import annotations

from pathlib import Path

from vsr.models.checkpoints.cache import cached_path, is_cached
from vsr.models.checkpoints.face_zoo import OFFICIAL_FACES
from vsr.models.checkpoints.model import Model, Quality
from vsr.models.checkpoints.zoo import OFFICIAL

SHIPPED = Path(__file__).parent / "weights"
"""Folder of the weights that come with the package."""

DEFAULT_MODEL = "compact-x4-video"
"""The model for people's footage, which a video encoder has coded, where nothing is chosen."""

AUTO_MODEL = "auto"
"""Instead of a name: the model that fits the source and the wanted size."""

VIDEO_MODELS = {1: "unet-x1-video", 2: "compact-x2-video", 4: "compact-x4-video"}
"""The models that are chosen from, by scale."""

CLEAN_MODELS = {"compact-x4-video": "compact-x4", "compact-x4-faithful": "compact-x4"}
"""Milder ones than some of them, learnt on footage that was not coded: better there, worse on all
other. ``configs/auto.toml`` says which scenes they restore."""

BICUBIC_MODELS = {2: "bicubic-x2", 3: "bicubic-x3", 4: "bicubic-x4"}
"""MATLAB's bicubic, by scale."""

SMALL = 540
"""Rows or columns of the shorter side up to which footage is enlarged by the largest scale."""

TABLES_MODEL = "compact-x4"
"""The model for the published tables, whose input is reduced bicubically."""

MODELS: dict[str, Model] = {
    "compact-x4": Model(
        architecture="compact",
        summary="real time, ours",
        weights="compact_x4.safetensors",
        scale=4,
        degradation="BI",
        parameters=757_915,
        size_multiple=2,
        quality=(
            Quality(
                data="Vid4 BI", channels="Y", psnr_db=25.350, ssim=0.7402, source="vsr, streamed"
            ),
        ),
        licence="Apache-2.0",
    ),
    "compact-x4-video": Model(
        architecture="compact",
        summary="real time, ours, for footage that H.264, HEVC or MPEG-4 has coded",
        weights="compact_x4_video.safetensors",
        faithful="compact-x4-faithful",
        fidelity=0.7,
        scale=4,
        degradation="compression",
        parameters=757_915,
        size_multiple=2,
        licence="Apache-2.0",
    ),
    "compact-x4-faithful": Model(
        architecture="compact",
        summary="the same, the softer and more faithful end of its --fidelity",
        weights="compact_x4_faithful.safetensors",
        scale=4,
        degradation="compression",
        parameters=757_915,
        size_multiple=2,
        licence="Apache-2.0",
    ),
    "compact-x2-video": Model(
        architecture="compact",
        summary="the same at twice the size, for footage above 540 rows",
        weights="compact_x2_video.safetensors",
        faithful="compact-x2-faithful",
        fidelity=0.75,
        scale=2,
        degradation="compression",
        parameters=747_511,
        size_multiple=2,
        licence="Apache-2.0",
    ),
    "compact-x2-faithful": Model(
        architecture="compact",
        summary="the softer and more faithful end of its --fidelity",
        weights="compact_x2_faithful.safetensors",
        scale=2,
        degradation="compression",
        parameters=747_511,
        size_multiple=2,
        licence="Apache-2.0",
    ),
    "unet-x1-video": Model(
        architecture="unet",
        summary="ours, for coded footage at its own size, frame by frame",
        weights="unet_x1_video.safetensors",
        scale=1,
        degradation="compression",
        parameters=382_076,
        size_multiple=8,
        licence="Apache-2.0",
    ),
    "basicvsr": Model(
        architecture="basicvsr",
        summary="as published; bring a checkpoint of BasicSR or mmagic with --weights",
        needs_weights=True,
        scale=4,
    ),
    "iconvsr": Model(
        architecture="iconvsr",
        summary="as published; bring a checkpoint of BasicSR or mmagic with --weights",
        needs_weights=True,
        scale=4,
        size_multiple=4,
    ),
    "basicvsrpp": Model(
        architecture="basicvsrpp",
        summary="x4, or x1 for deblurring and the like; bring a checkpoint of BasicSR or mmagic "
        "with --weights",
        needs_weights=True,
        size_multiple=None,
    ),
    "rrdbnet": Model(
        architecture="rrdbnet",
        summary="ESRGAN's network, x4, x2 or x1; bring a checkpoint of BasicSR, ESRGAN, mmagic or "
        "ncnn with --weights",
        needs_weights=True,
        size_multiple=None,
    ),
    "srvgg": Model(
        architecture="srvgg",
        summary="Real-ESRGAN's small network; bring a checkpoint of BasicSR or ncnn with --weights",
        needs_weights=True,
    ),
    "edvr": Model(
        architecture="edvr",
        summary="x4, or x1 for deblurring; bring a checkpoint of BasicSR or mmagic with --weights",
        needs_weights=True,
        size_multiple=None,
    ),
    "cascade": Model(
        architecture="cascade",
        summary="two EDVR, the second refines what the first restored; give FIRST+SECOND, names "
        "or checkpoints, as the model or with --weights",
        options={"first": {}, "second": {"hr_in": True}},
        needs_weights=True,
        size_multiple=None,
    ),
    **OFFICIAL,
    "bicubic-x2": Model(
        architecture="bicubic",
        summary="no network: MATLAB's bicubic",
        options={"scale": 2},
        scale=2,
        parameters=0,
    ),
    "bicubic-x3": Model(
        architecture="bicubic",
        summary="no network: MATLAB's bicubic",
        options={"scale": 3},
        scale=3,
        parameters=0,
    ),
    "bicubic-x4": Model(
        architecture="bicubic",
        summary="no network: MATLAB's bicubic",
        options={"scale": 4},
        scale=4,
        parameters=0,
        quality=(
            Quality(
                data="REDS4", channels="RGB", psnr_db=26.14, ssim=0.7292, source="BasicVSR paper"
            ),
            Quality(
                data="Vid4 BI", channels="Y", psnr_db=23.78, ssim=0.6347, source="BasicVSR paper"
            ),
        ),
    ),
    "identity": Model(
        architecture="identity", summary="frames leave as they came", scale=1, parameters=0
    ),
}


FACE_MODELS = OFFICIAL_FACES
"""The models that find and restore faces; ``--model`` does not take them."""

FACE_RESTORERS = tuple(name for name, m in FACE_MODELS.items() if m.architecture == "gfpgan")
"""Those that restore faces."""

FACE_DETECTORS = tuple(name for name in FACE_MODELS if name not in FACE_RESTORERS)
"""Those that find them."""


def known_models() -> dict[str, Model]:
    """All models with weights to list and to pull, by name."""
    return {**MODELS, **FACE_MODELS}


def fitting_model(height: int, width: int, wanted: float | None = None) -> str:
    """The model of compressed footage that fits a source.

    Args:
        height: Rows of the source.
        width: Columns of the source.
        wanted: Output size over input size: the smallest scale that reaches it is taken. None for
            an enlargement that suits the source.
    """
    scales = sorted(VIDEO_MODELS)
    if wanted is None:
        wanted = 4 if min(height, width) <= SMALL else 2
    return VIDEO_MODELS[next((scale for scale in scales if scale >= wanted), scales[-1])]


def faithful_end(model: str) -> str:
    """The model at the faithful end of a model's ``--fidelity``; the model itself if it has none.

    Args:
        model: A key of ``MODELS``.
    """
    return MODELS[model].faithful or model


def weights_path(model: str) -> Path | None:
    """Path of a model's weights, pulled or not; None if it has no file of its own.

    Args:
        model: A key of ``known_models``.
    """
    entry = known_models()[model]
    if entry.releases:
        here = (release for release in entry.releases if is_cached(release))
        return cached_path(next(here, entry.releases[0])[0])
    return None if entry.weights is None else SHIPPED / entry.weights
