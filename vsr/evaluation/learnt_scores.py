"""LPIPS (Zhang et al. 2018) and DISTS (Ding et al. 2020), by torchmetrics.

torchmetrics is an extra, ``pip install 'vsr-stream[lpips]'``, Apache-2.0, and needs the torchvision
built for the installed torch. It brings the layers that were learnt from people's judgements; the
AlexNet and VGG16 below them are torchvision's, fetched when a score is first used, and found
afterwards in ``TORCH_HOME``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from vsr.errors import DownloadError, MissingDependency

EXTRA = "lpips"
LEARNT = ("lpips", "dists")


class LearntScore:
    """One of ``LEARNT``; lower is better. LPIPS is that of AlexNet, as papers report it.

    Attributes:
        name: Name of the score.
    """

    def __init__(self, name: str, device: torch.device) -> None:
        """Load the score.

        Raises:
            MissingDependency: torchmetrics or torchvision is not installed, or does not load.
            DownloadError: The network's weights are not cached and cannot be downloaded.
        """
        self.name = name
        create = _lpips if name == "lpips" else _dists
        try:
            self._distance = create(device)
        except OSError as error:
            raise DownloadError(
                f"weights of metric {name!r} cannot be loaded ({_line(error)}); bring them into "
                "torchvision's cache, TORCH_HOME"
            ) from error
        except (ImportError, RuntimeError) as error:
            raise MissingDependency(
                f"metric {name!r} needs torchmetrics and the torchvision built for torch "
                f"{torch.__version__}, which do not load ({_line(error)}); pip install "
                f"'vsr-stream[{EXTRA}]'"
            ) from error

    @torch.inference_mode()
    def __call__(self, restored: Tensor, truth: Tensor) -> Tensor:
        """Score frames, (T, 3, H, W) in [0, 1]: (T,), float64."""
        pairs = zip(restored[:, None], truth[:, None], strict=True)
        return torch.stack([self._distance(*pair).double().reshape(()) for pair in pairs])


def _lpips(device: torch.device) -> Callable[[Tensor, Tensor], Tensor]:
    from torchmetrics.image.lpip import LearnedPerceptualImagePatchSimilarity

    metric = LearnedPerceptualImagePatchSimilarity(net_type="alex", normalize=True).to(device)

    def distance(restored: Tensor, truth: Tensor) -> Tensor:
        metric.reset()
        found: Tensor = metric(restored, truth)
        return found

    return distance


def _dists(device: torch.device) -> Callable[[Tensor, Tensor], Tensor]:
    from torchmetrics.functional.image.dists import DISTSNetwork

    network: Any = DISTSNetwork().to(device)
    return lambda restored, truth: network(truth, restored)


def _line(error: Exception) -> str:
    return str(error).strip().split("\n")[0]
