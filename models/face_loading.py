"""Loading the networks for faces: the detector, and the network that restores an aligned face."""

from __future__ import annotations

from pathlib import Path

import torch

from vsr.errors import CheckpointError, ConfigurationError, NotPulled
from vsr.models.architecture_table import UNFIT
from vsr.models.architectures.gfpgan import GFPGANClean, options_from_weights
from vsr.models.architectures.mtcnn import MTCNN
from vsr.models.catalogue import FACE_MODELS, FACE_RESTORERS, MODELS, weights_path
from vsr.models.checkpoints.cache import cached_path
from vsr.models.checkpoints.checkpoint import Checkpoint, load_into, read_checkpoint
from vsr.models.checkpoints.face_zoo import DEFAULT_FACES, DETECTOR

FACE_SIZE = 512
"""Side of aligned faces, which the published template is for."""


def check_pulled(model: str | Path = DEFAULT_FACES) -> None:
    """Check that the files of a face network and of the detector are here.

    Raises:
        NotPulled: One of them is not.
    """
    for name in (str(model), DETECTOR):
        if name in FACE_MODELS and not _files(name)[0].is_file():
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
    name = str(model)
    if name in FACE_RESTORERS:
        path = weights_path(name)
        if path is None or not path.is_file():
            raise NotPulled(name)
    elif name in {*MODELS, *FACE_MODELS} or not (Path(name).suffix or Path(name).exists()):
        known = ", ".join(FACE_RESTORERS)
        raise ConfigurationError(f"{name!r} restores no faces; give a checkpoint, or {known}")
    else:
        path = Path(name)
    checkpoint = read_checkpoint(path)
    network = _built(checkpoint)
    if network.out_size != FACE_SIZE:
        raise ConfigurationError(
            f"{checkpoint} restores faces of {network.out_size}x{network.out_size}; give a network "
            f"of {FACE_SIZE}x{FACE_SIZE}"
        )
    load_into(network, checkpoint, "gfpgan")
    return network.requires_grad_(False).eval()


def load_face_detector() -> MTCNN:
    """Load the face detector, on the CPU in float32, with frozen weights.

    Raises:
        NotPulled: Its weights have not been pulled.
        CheckpointError: A file that is damaged.
    """
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
