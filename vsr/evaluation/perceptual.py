"""Scores of the library pyiqa: MUSIQ, MANIQA, CLIPIQA and others.

pyiqa is an extra, ``pip install 'vsr-stream[perceptual]'``, free for non-commercial use only
(PolyForm Noncommercial 1.0). It needs the torchvision built for the installed torch. Weights are
fetched by pyiqa when a score is first used, and are found afterwards in its cache (``TORCH_HOME``,
``HF_HOME``).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from vsr.errors import ConfigurationError, DownloadError, MissingDependency

EXTRA = "perceptual"
OURS = "tof, warp, vmaf, vmaf-neg, cambi, niqe, brisque, lpips, dists"
"""Metrics without pyiqa."""


class PerceptualScore:
    """One score of pyiqa.

    Attributes:
        name: pyiqa's name of the score.
        lower_is_better: Whether lower values are better, according to pyiqa.
    """

    def __init__(self, name: str, device: torch.device) -> None:
        """Load the score.

        Raises:
            MissingDependency: pyiqa is not installed, or does not load.
            ConfigurationError: pyiqa has no such score.
            DownloadError: The weights of the score are not cached and cannot be downloaded.
        """
        self.name = name
        self._model = _create(name, device)
        self.lower_is_better = bool(self._model.lower_better)
        self._needs_truth = self._model.metric_mode == "FR"

    def __call__(self, restored: Tensor, truth: Tensor) -> Tensor:
        """Score frames, (T, 3, H, W) in [0, 1]: (T,), float64."""
        seen = (restored, truth) if self._needs_truth else (restored,)
        # One by one: several of pyiqa's scores draw or normalise over the batch.
        scores = [self._model(*(x[i : i + 1] for x in seen)) for i in range(len(restored))]
        return torch.stack([torch.as_tensor(score).double().reshape(()) for score in scores])


def _create(name: str, device: torch.device) -> Any:
    create, known = _library(name)
    if name not in known:
        raise ConfigurationError(
            f"metric {name!r} is unknown; known are {OURS}, and what pyiqa lists, such as musiq"
        )
    try:
        return create(name, device=device)
    except (OSError, RuntimeError, ValueError) as error:
        raise DownloadError(
            f"the weights of metric {name!r} cannot be loaded ({_line(error)}); bring them into "
            "pyiqa's cache, TORCH_HOME or HF_HOME"
        ) from error


def _library(name: str) -> tuple[Callable[..., Any], list[str]]:
    """The function that creates a score of pyiqa, and the names of all scores."""
    try:
        import pyiqa
    except ImportError as error:
        raise MissingDependency(
            f"metric {name!r} is none of {OURS}, and needs pyiqa (non-commercial use only), which "
            f"does not load ({_line(error)}); pip install 'vsr-stream[{EXTRA}]'"
        ) from error
    except RuntimeError as error:
        raise MissingDependency(
            f"metric {name!r} needs pyiqa, which does not load ({_line(error)}); "
            f"install the torchvision that was built for torch {torch.__version__}"
        ) from error
    return pyiqa.create_metric, pyiqa.list_models()


def _line(error: Exception) -> str:
    return str(error).strip().split("\n")[0]
