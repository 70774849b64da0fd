"""Loading the networks for faces: the detector, and the network that restores an aligned face."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch

from vsr.errors import CheckpointError, ConfigurationError, NotPulled
from vsr.models.architecture_table import UNFIT
from vsr.models.architectures.gfpgan import GFPGANClean, options_from_weights
from vsr.models.architectures.mtcnn import MTCNN
from vsr.models.architectures.retinaface import RetinaFace, backbone_of
from vsr.models.catalogue import (
    FACE_DETECTORS,
    FACE_MODELS,
    FACE_RESTORERS,
    MODELS,
    weights_path,
)
from vsr.models.checkpoints.cache import cached_path
from vsr.models.checkpoints.checkpoint import Checkpoint, load_into, read_checkpoint
from vsr.models.checkpoints.face_zoo import DEFAULT_FACES, DETECTOR

FACE_SIZE = 512
"""Side of aligned faces, which the published template is for."""


FaceDetector = MTCNN | RetinaFace
"""Networks that find faces."""


def check_pulled(model: str | Path = DEFAULT_FACES, detector: str | Path = DETECTOR) -> None:
    """Check that the files of a face network and of a detector are here.

    Raises:
        NotPulled: One of them is not.
    """
    for name in (str(model), str(detector)):
        if name in FACE_MODELS and not all(path.is_file() for path in _files(name)):
            raise NotPulled(name)


def load_face_network(model: str | Path = DEFAULT_FACES) -> GFPGANClean:
    """Load a network that restores aligned faces, on the CPU in float32, with frozen weights.

    Args:
        model: A key of ``FACE_RESTORERS``, or the path of a checkpoint of GFPGANv1Clean.

    Raises:
        ConfigurationError: A name of no model for faces.
        CheckpointError: A file that is missing, damaged, or of another network.
        NotPulled: Official weights that have not been pulled.
    """
    checkpoint = read_checkpoint(_path(str(model), FACE_RESTORERS, "restores"))
    network = _built(checkpoint)
    if network.out_size != FACE_SIZE:
        raise ConfigurationError(
            f"{checkpoint} restores faces of {network.out_size}x{network.out_size}; give a network "
            f"of {FACE_SIZE}x{FACE_SIZE}"
        )
    load_into(network, checkpoint, "gfpgan")
    return network.requires_grad_(False).eval()


def load_face_detector(model: str | Path = DETECTOR) -> FaceDetector:
    """Load a face detector, on the CPU in float32, with frozen weights.

    Args:
        model: A key of ``FACE_DETECTORS``, or the path of a checkpoint of facexlib's RetinaFace.

    Raises:
        ConfigurationError: A name of no model that finds faces.
        CheckpointError: A file that is missing, damaged, or of another network.
        NotPulled: Official weights that have not been pulled.
    """
    if str(model) == DETECTOR:
        return _load_mtcnn()
    return _load_retinaface(_path(str(model), FACE_DETECTORS, "finds"))


def _path(name: str, known: Sequence[str], does: str) -> Path:
    """The file of a model for faces, by its name or its path."""
    if name in known:
        path = weights_path(name)
        if path is None or not path.is_file():
            raise NotPulled(name)
        return path
    if name in {*MODELS, *FACE_MODELS} or not (Path(name).suffix or Path(name).exists()):
        raise ConfigurationError(
            f"{name!r} {does} no faces; give a checkpoint, or {', '.join(known)}"
        )
    return Path(name)


def _load_retinaface(path: Path) -> RetinaFace:
    checkpoint = read_checkpoint(path)
    backbone = backbone_of(checkpoint.weights)
    if backbone is None:
        raise CheckpointError(
            f"{checkpoint} is of no RetinaFace; give {', '.join(FACE_DETECTORS)} or a file of "
            "facexlib's"
        )
    detector = RetinaFace(backbone)
    load_into(detector, checkpoint, "retinaface")
    return detector.requires_grad_(False).eval()


def _load_mtcnn() -> MTCNN:
    paths = _files(DETECTOR)
    if not all(path.is_file() for path in paths):
        raise NotPulled(DETECTOR)
    detector = MTCNN()
    for network, path in zip(detector.children(), paths, strict=True):
        load_into(network, read_checkpoint(path), DETECTOR)
    return detector.requires_grad_(False).eval()


def _files(name: str) -> list[Path]:
    """Paths of the files of a model, pulled or not."""
    return [cached_path(file) for file in FACE_MODELS[name].releases[0]]


def _built(checkpoint: Checkpoint) -> GFPGANClean:
    """The network of a checkpoint, without its weights."""
    wrong = f"{checkpoint} is of no GFPGANv1Clean; give {', '.join(FACE_RESTORERS)} or such a file"
    try:
        options = options_from_weights(checkpoint.weights)
    except (KeyError, *UNFIT) as error:
        raise CheckpointError(wrong) from error
    if options is None:
        raise CheckpointError(wrong)
    with torch.device("meta"):
        network = GFPGANClean(**options)
    return network.to_empty(device="cpu")
