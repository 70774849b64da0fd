"""RetinaFace in facexlib's layout, with weights that anyone can make again."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from tests.command_line import Run
from tests.faces.test_restore import words
from vsr.errors import CheckpointError, ConfigurationError, NotPulled
from vsr.faces.detector import Faces
from vsr.faces.loading import find
from vsr.faces.retina_detector import detect_by_retinaface
from vsr.models.architectures.retinaface import Backbone, RetinaFace, decoded, priors
from vsr.models.face_loading import load_face_detector

LAYOUTS: dict[Backbone, tuple[int, str]] = {
    "resnet50": (456, "eb54b880ab291bf8e2244dd94de9d2b9d631c8bd6e64aaec32b5952aa4ccb6a5"),
    "mobilenet0.25": (300, "100a884cd2d9cc4142a9f85791c0f468ead3fadaa46e1a0b2ba2ef89806ce32e"),
}
"""Tensors in a state dict of facexlib 0.3.0, and the SHA-256 of their sorted names and shapes."""

PUBLISHED: dict[Backbone, tuple[float, int, str, str]] = {
    "resnet50": (
        0.6,
        13,
        "-58.3503 -8.6876 59.9407 129.8446 0.7267 3.9119 60.9350 3.5913 58.0214 4.3744 56.7996 "
        "7.3807 56.7310 10.2910 55.1978",
        "57.0944 40.3415 115.9007 108.8736 0.6134 87.9870 73.5523 86.8358 73.4383 85.4527 73.6184 "
        "85.1440 74.6861 85.6420 75.5239",
    ),
    "mobilenet0.25": (
        0.52,
        78,
        "67.5996 67.9311 84.3353 84.5228 0.5422 75.7792 76.0396 76.2784 76.3604 76.2404 75.9888 "
        "75.7497 75.6566 75.7565 75.9858",
        "83.6575 43.7155 100.0057 60.2657 0.5202 91.7701 51.8592 92.0407 52.2157 92.2802 52.1880 "
        "91.9823 51.7755 91.6866 51.7713",
    ),
}
"""For the weights and the picture below, what `detect_faces` of facexlib 0.3.0 gave at a least
score: how many faces, the best and the last: box, score and points."""


def made(backbone: Backbone) -> RetinaFace:
    """A network with weights made by a formula."""
    network = RetinaFace(backbone).eval().requires_grad_(False)
    for number, (name, tensor) in enumerate(sorted(network.state_dict().items())):
        if not tensor.ndim:
            continue
        wave = torch.sin(torch.arange(tensor.numel(), dtype=torch.float64) * 0.7 + number)
        if name.endswith("running_var"):
            wave = 1 + 0.5 * wave
        elif tensor.ndim == 1:
            wave = 0.1 * wave + (0.5 if name.endswith("weight") else 0.0)
        else:
            wave = wave / tensor[0].numel() ** 0.5
        tensor.copy_(wave.view(tensor.shape))
    return network


def picture() -> Tensor:
    """(3, 75, 101), soft stripes; sides that no step divides."""
    y, x = torch.meshgrid(torch.arange(75.0), torch.arange(101.0), indexing="ij")
    waves = [torch.sin(0.05 * x + 0.02 * y * colour + colour) for colour in (3, 2, 1)]
    return (127.5 + 127 * torch.stack(waves)) / 255


def rows(faces: Faces) -> Tensor:
    """(N, 15): box, score and points."""
    parts = (faces.boxes, faces.scores[:, None], faces.points.reshape(len(faces), -1))
    return torch.from_numpy(np.concatenate(parts, 1))


@pytest.mark.parametrize("backbone", LAYOUTS)
def test_names_and_shapes_are_those_of_facexlib(backbone: Backbone) -> None:
    with torch.device("meta"):
        state = RetinaFace(backbone).state_dict()
    text = "\n".join(f"{name} {tuple(tensor.shape)}" for name, tensor in sorted(state.items()))
    assert (len(state), hashlib.sha256(text.encode()).hexdigest()) == LAYOUTS[backbone]


@pytest.mark.parametrize(
    "backbone", ["mobilenet0.25", pytest.param("resnet50", marks=pytest.mark.slow)]
)
def test_the_same_weights_find_what_facexlib_finds(backbone: Backbone) -> None:
    least, count, best, last = PUBLISHED[backbone]
    found = rows(detect_by_retinaface(made(backbone), picture(), least))
    assert len(found) == count
    expected = torch.tensor([[float(value) for value in line.split()] for line in (best, last)])
    torch.testing.assert_close(found[[0, -1]], expected, atol=2e-3, rtol=0)


def test_a_prior_is_decoded_in_pixels() -> None:
    """The grid of steps of 8 comes first, row by row, with squares of 16 and 32 pixels."""
    known = priors(20, 30)
    assert len(known) == 2 * (3 * 4 + 2 * 2 + 1 * 1)
    assert known[:3].tolist() == [[4, 4, 16], [4, 4, 32], [12, 4, 16]]
    assert known[-1].tolist() == [16, 16, 512]
    correction = torch.tensor([[2.5, -5.0, 5 * float(np.log(2)), 0.0]])
    points = torch.tensor([[[0.0, 0.0], [10.0, 0.0], [0.0, 10.0], [-5.0, 5.0], [1.25, -1.25]]])
    boxes, places = decoded(known[:1], correction, points)
    # The middle moves to (8, -4); 32 pixels wide and 16 high.
    assert boxes[0].tolist() == pytest.approx([-8, -12, 24, 4], abs=1e-5)
    assert places[0].flatten().tolist() == [4, 4, 20, 4, 4, 20, -4, 12, 6, 2]


@pytest.mark.parametrize(("height", "width"), [(33, 17), (64, 64), (75, 101)])
def test_every_prior_of_a_frame_of_any_size_is_judged(height: int, width: int) -> None:
    network = RetinaFace("mobilenet0.25").eval().requires_grad_(False)
    judged = network(torch.rand(2, 3, height, width))
    num_priors = len(priors(height, width))
    shapes = [(2, num_priors), (2, num_priors, 4), (2, num_priors, 5, 2)]
    assert [tuple(one.shape) for one in judged] == shapes


def test_a_larger_frame_moves_no_prior() -> None:
    small, large = priors(64, 96), priors(128, 160)
    known = {tuple(prior) for prior in large.tolist()}
    assert {tuple(prior) for prior in small.tolist()} <= known


@pytest.mark.parametrize("prefix", ["", "module."])
def test_a_file_of_facexlib_is_loaded(prefix: str, tmp_path: Path) -> None:
    """One that a parallel trainer has written, and one of a torch that did not count batches."""
    network = made("mobilenet0.25")
    state = {prefix + name: tensor for name, tensor in network.state_dict().items()}
    if not prefix:
        state = {k: v for k, v in state.items() if not k.endswith("num_batches_tracked")}
    torch.save(state, tmp_path / "detector.pth")
    loaded = load_face_detector(tmp_path / "detector.pth")
    assert isinstance(loaded, RetinaFace)
    ours, known = (rows(detect_by_retinaface(n, picture(), 0.52)) for n in (loaded, network))
    assert torch.equal(ours, known)


def sure(network: RetinaFace) -> RetinaFace:
    """The network, certain that there is a face of 512 pixels at every place."""
    network.get_parameter("ClassHead.2.conv1x1.bias")[3] = 9.0
    return network


def test_a_frame_is_reduced_as_far_as_the_smallest_faces_allow() -> None:
    network, large = sure(made("mobilenet0.25")), torch.rand(3, 150, 202)
    small = torch.nn.functional.interpolate(large[None], (75, 101), mode="bilinear", antialias=True)
    expected = detect_by_retinaface(network, small[0]).scaled(2, 2)
    assert len(expected) > 0
    assert torch.equal(rows(find(network, large, smallest=40)), rows(expected))


def test_what_is_no_detector_is_refused(tmp_path: Path) -> None:
    torch.save({"conv_first.weight": torch.zeros(2, 3, 3, 3)}, tmp_path / "other.pth")
    with pytest.raises(CheckpointError, match=r"of no RetinaFace; give mtcnn, retinaface-resnet50"):
        load_face_detector(tmp_path / "other.pth")
    with pytest.raises(ConfigurationError, match=r"'gfpgan-v1.4' finds no faces"):
        load_face_detector("gfpgan-v1.4")


def test_a_detector_that_is_not_here_is_named_with_its_pull(cache: Path) -> None:
    with pytest.raises(NotPulled, match="vsr models pull retinaface-resnet50"):
        load_face_detector("retinaface-resnet50")


def test_a_film_takes_its_faces_from_the_given_detector(
    cache: Path, shared: Path, face_file: Path, tmp_path: Path, vsr: Run
) -> None:
    """MTCNN's files are not here, and not asked for."""
    torch.save(sure(made("mobilenet0.25")).state_dict(), tmp_path / "detector.pth")
    networks = ("--face-model", face_file, "--face-detector", tmp_path / "detector.pth")
    done = vsr(*words(shared, tmp_path / "out.mkv", *networks, "--json", "--end", "0.44"))
    assert done.code == 0, done.err
    summary = json.loads(done.out)
    assert summary["faces"] + sum(summary["faces_left_alone"].values()) >= summary["frames_out"] > 0


def test_a_detector_alone_asks_for_faces(cache: Path, tmp_path: Path, vsr: Run) -> None:
    done = vsr("restore", "in.mkv", "out.mkv", "--face-detector", "retinaface-resnet50")
    assert done.err == "vsr: gfpgan-v1.4 is not here; `vsr models pull gfpgan-v1.4` brings it\n"


def test_the_licence_is_said_before_the_pull(vsr: Run) -> None:
    done = vsr("models", "show", "retinaface-resnet50")
    assert "WIDER FACE (CC BY-NC-ND 4.0)" in done.out
