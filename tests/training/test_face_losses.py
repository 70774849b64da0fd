"""Losses of faces: boxes, discriminators of components, style, identity, and runs with them."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor, nn

from tests.faces.drawing import drawn_face
from tests.training.test_training import TINY, losses, train_and_interrupt
from vsr.errors import CheckpointError, ConfigurationError
from vsr.training.config import DataSettings
from vsr.training.face_losses import (
    COMPONENTS,
    ComponentDiscriminator,
    FaceCritics,
    FaceLossSettings,
    cut_component,
)
from vsr.training.identity import ArcFace
from vsr.training.run import train

SMALL = FaceLossSettings(num_feat=4)
CPU = torch.device("cpu")


def inside(size: int) -> Tensor:
    """(size, size): where the boxes of the components are, with the pixels around them."""
    marked = torch.zeros(size, size, dtype=torch.bool)
    for component in COMPONENTS.values():
        middle = [
            (axis + 0.5) * size / 512 for axis in (component.centre.real, component.centre.imag)
        ]
        half = component.half * size / 512 + 1
        left, top = (int(axis - half) for axis in middle)
        right, bottom = (int(axis + half) + 1 for axis in middle)
        marked[top:bottom, left:right] = True
    return marked


def written(network: nn.Module, path: Path) -> Path:
    torch.save({"params": network.state_dict()}, path)
    return path


@pytest.mark.parametrize("size", [512, 64])
def test_a_box_shows_its_component_whatever_the_size_of_the_face(size: int) -> None:
    """In a picture whose values are its coordinates, those of the box come out."""
    axis = (torch.arange(size) + 0.5) * 512 / size - 0.5
    y, x = torch.meshgrid(axis, axis, indexing="ij")
    face = torch.stack([x, y, torch.zeros_like(x)])[None]
    for component, side in zip(COMPONENTS.values(), (80, 80, 120), strict=True):
        box = cut_component(face, component)
        assert box.shape == (1, 3, side, side)
        middle = box.mean((2, 3))[0, :2].tolist()
        assert middle == pytest.approx([component.centre.real, component.centre.imag], abs=1e-2)
        steps = [box[0, 0].diff(dim=1), box[0, 1].diff(dim=0)]
        torch.testing.assert_close(torch.stack([s.mean() for s in steps]), torch.ones(2))


def test_a_mirrored_face_has_its_eyes_exchanged() -> None:
    face = drawn_face()[None]
    left, right = (cut_component(face, COMPONENTS[name]) for name in ("left_eye", "right_eye"))
    mirrored = cut_component(face.flip(3), COMPONENTS["right_eye"]).flip(3)
    assert float((mirrored - left).abs().mean()) < 0.1 * float((right - left).abs().mean())


def test_a_component_is_judged_at_a_quarter_of_its_size() -> None:
    network = ComponentDiscriminator()
    # The sum of the published layers: 64, 128 halved, 128, 256 halved, 256, 1.
    assert sum(p.numel() for p in network.parameters()) == 1_110_785
    logits, (middle, coarse) = ComponentDiscriminator(4)(torch.rand(2, 3, 80, 80))
    assert logits.shape == (2, 1, 20, 20)
    assert (middle.shape, coarse.shape) == ((2, 8, 40, 40), (2, 16, 20, 20))


def test_what_a_network_learns_from_lies_in_eyes_and_mouth() -> None:
    critics = FaceCritics(SMALL, Path(), CPU)
    restored = torch.rand(1, 2, 3, 128, 128, requires_grad=True)
    loss = critics.generator_loss(restored, torch.rand(1, 2, 3, 128, 128))
    (gradient,) = torch.autograd.grad(loss, restored)
    assert torch.isfinite(gradient).all()
    assert not gradient[..., ~inside(128)].any()
    for component in COMPONENTS.values():
        assert cut_component(gradient[0], component).abs().mean() > 0
    assert all(p.grad is None for p in critics.discriminators.parameters())


def test_style_and_judgement_have_weights_of_their_own() -> None:
    torch.manual_seed(0)
    critics = FaceCritics(SMALL, Path(), CPU)
    face, other = torch.rand(2, 1, 1, 3, 64, 64)

    def loss(restored: Tensor, component: float, style: float) -> float:
        critics.settings = replace(SMALL, component_weight=component, style_weight=style)
        return float(critics.generator_loss(restored, face).detach())

    assert loss(other, 0.0, 0.0) == 0
    assert loss(face, 0.0, 200.0) == 0
    assert loss(other, 0.0, 200.0) == pytest.approx(2 * loss(other, 0.0, 100.0))
    assert loss(other, 1.0, 0.0) > 0


def test_discriminators_learn_to_tell_faces_apart() -> None:
    torch.manual_seed(0)
    critics = FaceCritics(replace(SMALL, learning_rate=2e-2), Path(), CPU)
    truth = F.interpolate(drawn_face()[None], (64, 64), mode="area")[None]
    noisy = truth + 0.3 * torch.randn(truth.shape)
    told = [critics.learn(noisy, truth, 1.0) for _ in range(12)]
    assert told[-1] < 0.8 * told[0]


def test_identity_is_that_of_gfpgans_recognition_network() -> None:
    """Names and shapes as in gfpgan 1.3.8: their number, and the SHA-256 of all of them."""
    with torch.device("meta"):
        state = ArcFace().state_dict()
    text = "\n".join(f"{name} {tuple(tensor.shape)}" for name, tensor in sorted(state.items()))
    known = "c6323f0cd87ae1949aaa4ad2f015808bec0b14785f542cf03a5f0a401d394ae3"
    assert (len(state), hashlib.sha256(text.encode()).hexdigest()) == (181, known)


def test_identity_is_learnt_from_the_whole_face(tmp_path: Path) -> None:
    torch.manual_seed(0)
    written(ArcFace(2), tmp_path / "who.pth")
    settings = replace(SMALL, identity_weight=10.0, identity="who.pth")
    critics = FaceCritics(settings, tmp_path, CPU)
    critics.settings = replace(settings, component_weight=0.0, style_weight=0.0)
    face, restored = torch.rand(1, 1, 3, 64, 64), torch.rand(1, 1, 3, 64, 64, requires_grad=True)
    (gradient,) = torch.autograd.grad(critics.generator_loss(restored, face), restored)
    assert gradient[..., ~inside(64)].abs().mean() > 0
    assert float(critics.generator_loss(face, face)) == 0
    assert critics.identity is not None
    who = critics.identity(face[0])
    assert who.shape == (1, 512)
    assert not any(p.requires_grad for p in critics.identity.parameters())


def test_a_loss_of_identity_without_a_network_says_what_to_give(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"the file of GFPGAN's arcface_resnet18\.pth"):
        FaceLossSettings(identity_weight=10.0)
    with pytest.raises(CheckpointError, match=r"nobody\.pth' is not there"):
        FaceCritics(FaceLossSettings(identity_weight=1.0, identity="nobody.pth"), tmp_path, CPU)
    written(nn.Conv2d(3, 2, 3), tmp_path / "other.pth")
    with pytest.raises(CheckpointError, match="of no ArcFace"):
        FaceCritics(FaceLossSettings(identity_weight=1.0, identity="other.pth"), tmp_path, CPU)


def test_a_blurred_face_that_is_trained_on_one_face_gets_its_eyes_and_mouth_back() -> None:
    """Overfitting, without any other loss: what lies beside the components stays as it was."""
    torch.manual_seed(0)
    truth = F.interpolate(drawn_face()[None], (128, 128), mode="area")
    blurred = F.avg_pool2d(truth, 9, 1, 4, count_include_pad=False)
    face = blurred.clone().requires_grad_()
    critics = FaceCritics(replace(SMALL, component_weight=0.01, num_feat=8), Path(), CPU)
    optimiser = torch.optim.Adam([face], lr=5e-3)
    losses = []
    for _ in range(40):
        optimiser.zero_grad()
        loss = critics.generator_loss(face[None], truth[None])
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.3 * losses[0]
    assert torch.equal(face[..., ~inside(128)], blurred[..., ~inside(128)])


@pytest.fixture
def faces(tmp_path: Path) -> Path:
    """A folder of faces of 64 pixels, each a video of its own."""
    for number in range(2):
        folder = tmp_path / "data" / "faces" / str(number)
        folder.mkdir(parents=True)
        face = F.interpolate(drawn_face(number)[None], (64, 64), mode="area")[0]
        Image.fromarray(face.mul(255).byte().permute(1, 2, 0).numpy()).save(folder / "0.png")
    return tmp_path / "data"


FACES = replace(
    TINY,
    data=DataSettings(videos="faces", upright=True),
    schedule=replace(TINY.schedule, iterations=5, flow_iterations=0, frames=1, patch=16),
    faces=SMALL,
)


def test_an_interrupted_run_ends_as_one_that_was_not(faces: Path, tmp_path: Path) -> None:
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    train(FACES, faces, whole, device="cpu")
    train_and_interrupt(FACES, faces, broken, at=5)
    broken_losses = losses(broken)
    train(FACES, faces, broken, device="cpu")
    assert losses(whole)[:4] == broken_losses[:4]
    ends = [torch.load(out / "last.pt", weights_only=True) for out in (whole, broken)]
    for part in ("network", "faces"):
        torch.testing.assert_close(ends[0][part], ends[1][part], atol=0, rtol=0)


def test_faces_that_would_be_turned_or_cut_are_refused(faces: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="set upright = true"):
        replace(FACES, data=replace(FACES.data, upright=False))
    small = replace(FACES, schedule=replace(FACES.schedule, patch=12))
    with pytest.raises(ConfigurationError, match="64x64 where clips are 48x48"):
        train(small, faces, tmp_path / "run", device="cpu")
