"""With a finite look-ahead every step gives what its window and its past determine.

BasicVSR and EDVR are held to whole clips in ``test_restorer_exact``. The networks here are restored
step by step from the beginning of the scene, with nothing kept from step to step but what the
definition hands on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.networks import RECURRENT, moving_clip
from tests.streaming import frames_of, pieces, restorer_of, stream, whole_clip
from vsr.models.architectures.cascade import Cascade
from vsr.models.architectures.iconvsr import IconVSR
from vsr.models.architectures.realbasicvsr import RealBasicVSR
from vsr.models.layers.propagation import pair_flows
from vsr.models.layers.windows import window_indices
from vsr.models.ops.warp import warp

NUM_FRAMES = 9


def steps(chunk: int, look_ahead: int) -> Iterator[tuple[int, int, int]]:
    """First frame, end of what is restored and end of what is seen, of every step."""
    for start in range(0, NUM_FRAMES, chunk):
        end = min(start + chunk, NUM_FRAMES)
        yield start, end, min(end + look_ahead, NUM_FRAMES)


def iconvsr_by_steps(network: IconVSR, clip: Tensor, chunk: int, look_ahead: int) -> Tensor:
    """The paper's recurrence; what lies beyond a step's window is not there for it."""
    restored, feat = [], clip.new_zeros(1, network.num_feat, *clip.shape[-2:])
    for start, end, seen in steps(chunk, look_ahead):
        frames, flows = clip[None, :seen], pair_flows(network.spynet, clip[None, :seen], None)
        refills = key_features(network, clip[:seen])
        backward: dict[int, Tensor] = {}
        for i in reversed(range(start, seen)):
            behind = torch.zeros_like(feat)
            if i + 1 < seen:
                behind = warp(backward[i + 1], flows.to_next(i))
            if i in refills:
                behind = network.backward_fusion(torch.cat([behind, refills[i]], 1))
            backward[i] = network.backward_trunk(torch.cat([frames[:, i], behind], 1))
        for i in range(start, end):
            feat = warp(feat, flows.to_previous(i))
            if i in refills:
                feat = network.forward_fusion(torch.cat([feat, refills[i]], 1))
            feat = network.forward_trunk(torch.cat([frames[:, i], backward[i], feat], 1))
            restored.append(network.upsample_onto(frames[:, i], feat))
    return torch.cat(restored)


def key_features(network: IconVSR, seen: Tensor) -> dict[int, Tensor]:
    """What EDVR-M gives at the key frames of a scene's beginning, or of all of it."""
    last = len(seen) - 1
    keys = {*range(0, len(seen), network.keyframe_stride)}
    keys |= {last} if len(seen) == NUM_FRAMES else set()
    pyramids = [network.edvr.features(frame[None]) for frame in seen]
    size = 2 * network.radius + 1
    return {
        i: network.edvr.fuse([pyramids[j] for j in window_indices(i, size, (0, last), (0, last))])
        for i in keys
    }


def realbasicvsr_by_steps(
    network: RealBasicVSR, clip: Tensor, chunk: int, look_ahead: int
) -> Tensor:
    """As many passes as the first window takes, over all frames, then BasicVSR."""
    _, state = network.step(clip[None, : chunk + look_ahead], None, chunk)
    cleaned = clip
    for _ in range(int(state.passes_B)):
        cleaned = cleaned + network.image_cleaning(cleaned)
    return torch.cat(
        [
            whole_clip(network.basicvsr, cleaned[:seen])[start:end]
            for start, end, seen in steps(chunk, look_ahead)
        ]
    )


def cascade_by_steps(network: Cascade, clip: Tensor, chunk: int, look_ahead: int) -> Tensor:
    """The first stage goes ahead as far as the second looks, where it sees all that it needs."""
    restored, between = [], clip.new_zeros(0)
    radius = network.first.num_frame // 2
    beyond = network.second.num_frame // 2
    for start, end, seen in steps(chunk, look_ahead):
        certain = seen if seen == NUM_FRAMES else seen - radius if seen > 2 * radius else 0
        wanted = max(end, min(certain, max(end + beyond, 2 * beyond + 1)))
        known = len(between)
        if wanted > known:
            fresh = whole_clip(network.first, clip[:seen])[known:wanted].clamp(0, 1)
            between = torch.cat([between, fresh]) if known else fresh
        restored.append(whole_clip(network.second, between)[start:end])
    return torch.cat(restored)


BY_STEPS: dict[str, Callable[[Any, Tensor, int, int], Tensor]] = {
    "iconvsr": iconvsr_by_steps,
    "realbasicvsr": realbasicvsr_by_steps,
    "cascade": cascade_by_steps,
}


@pytest.mark.parametrize(
    ("chunk", "look_ahead"),
    [(4, 2), *(pytest.param(*sizes, marks=pytest.mark.slow) for sizes in ((4, 0), (3, 5)))],
)
@pytest.mark.parametrize("name", BY_STEPS)
def test_every_step_is_what_its_window_and_its_past_determine(
    name: str, chunk: int, look_ahead: int
) -> None:
    network, clip = RECURRENT[name](), moving_clip(NUM_FRAMES, 16, 20)
    streamed = frames_of(stream(restorer_of(network, chunk, look_ahead), pieces(clip, 4)))
    with torch.inference_mode():
        expected = BY_STEPS[name](network, clip, chunk, look_ahead)
    largest = max(1.0, float(expected.abs().max()))
    torch.testing.assert_close(streamed, expected, atol=1e-5 * largest, rtol=0)
