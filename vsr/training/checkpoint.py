"""Checkpoints of a training run, from which it resumes."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import torch

from vsr.errors import CheckpointError
from vsr.files import written_whole
from vsr.models.checkpoints.checkpoint import DAMAGED
from vsr.training.loop import Training


def save_training(training: Training, path: Path) -> None:
    """Write a checkpoint, so that an interrupted write leaves the one before.

    Raises:
        OpenError: It cannot be written.
    """
    saved = {
        "network": training.network.state_dict(),
        "average": training.average.state_dict(),
        "optimiser": training.optimiser.state_dict(),
        "iteration": training.iteration,
        "seconds": training.seconds,
        "schedule": asdict(training.schedule),
    }
    if training.adversary is not None:
        saved["adversary"] = training.adversary.state()
    if training.faces is not None:
        saved["faces"] = training.faces.state()
    with written_whole(path) as part:
        torch.save(saved, part)


def load_training(training: Training, path: Path) -> None:
    """Continue from a checkpoint.

    Args:
        training: A run of the same network; changed in place.
        path: File written by ``save_training``.

    Raises:
        CheckpointError: A file that is damaged, or of another network.
    """
    try:
        saved = torch.load(path, weights_only=True, map_location="cpu")
    except DAMAGED as error:
        raise CheckpointError(
            f"'{path}' is damaged; remove it and start again with --init last.safetensors beside it"
        ) from error
    try:
        training.network.load_state_dict(saved["network"])
        training.average.load_state_dict(saved["average"])
        if training.adversary is not None and "adversary" in saved:
            training.adversary.load(saved["adversary"])
        if training.faces is not None and "faces" in saved:
            training.faces.load(saved["faces"])
    except RuntimeError as error:
        raise CheckpointError(
            f"'{path}' is of another network than the configuration's; train into an empty folder"
        ) from error
    training.optimiser.load_state_dict(saved["optimiser"])
    training.iteration, training.seconds = saved["iteration"], saved["seconds"]
