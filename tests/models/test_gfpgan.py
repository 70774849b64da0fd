"""GFPGAN's network against outputs of the published code, and its files."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.command_line import Run
from tests.models.test_published import reference
from vsr.errors import CheckpointError, ConfigurationError, NotPulled
from vsr.models.architectures.gfpgan import GFPGANClean, options_from_weights
from vsr.models.catalogue import FACE_DETECTORS, FACE_MODELS, FACE_RESTORERS
from vsr.models.checkpoints.cache import cached_path
from vsr.models.checkpoints.model import HASH_DIGITS
from vsr.models.face_loading import check_pulled, load_face_detector, load_face_network
from vsr.models.loading import load_network


def of_case(case: str, shared: Path) -> tuple[GFPGANClean, torch.Tensor, torch.Tensor]:
    weights, faces, expected = reference(shared, case)
    options = options_from_weights(weights)
    assert options is not None
    network = GFPGANClean(**options, input_is_latent=case == "gfpgan_clean")
    network.load_state_dict(weights)
    return network.eval(), faces, expected


@pytest.mark.parametrize("case", ["gfpgan_clean", "gfpgan_clean_mlp"])
def test_a_face_is_restored_as_by_the_published_code(case: str, shared: Path) -> None:
    network, faces, expected = of_case(case, shared)
    arrays = np.load(shared / "oracle" / f"{case}.npz")
    with torch.inference_mode():
        torch.testing.assert_close(network(faces), expected, atol=1e-5, rtol=0)
        for picture in network.intermediate(faces):
            known = torch.from_numpy(arrays[f"rgb_{picture.shape[-1]}"])
            torch.testing.assert_close(picture, known, atol=1e-5, rtol=0)


def test_noise_is_the_stored_one_and_matters(shared: Path) -> None:
    network, faces, _ = of_case("gfpgan_clean", shared)
    with torch.inference_mode():
        first, again = network(faces), network(faces)
        assert torch.equal(first, again)
        for noise in network.stylegan_decoder.noises.buffers():
            noise.zero_()
        assert not torch.allclose(first, network(faces), atol=1e-3)


def test_the_official_layout_is_loaded_strictly(shared: Path, tmp_path: Path) -> None:
    layouts = json.loads((shared / "oracle" / "layouts_image.json").read_text())["basicsr"]
    layout = layouts["gfpgan_clean_c2"]
    with torch.device("meta"):
        weights = {key: torch.empty(shape) for key, shape in dict(layout).items()}
        options = options_from_weights(weights)
        assert options is not None
        network = GFPGANClean(**options)
    own = {key: list(value.shape) for key, value in network.state_dict().items()}
    assert own == dict(layout)
    assert options == {
        "out_size": 512,
        "num_style_feat": 512,
        "channel_multiplier": 2,
        "narrow": 1.0,
        "num_mlp": 8,
        "different_w": True,
        "sft_half": True,
    }
    count = sum(parameter.numel() for parameter in network.parameters())
    assert count == FACE_MODELS["gfpgan-v1.4"].parameters == 86_444_252
    assert sum(noise.numel() for noise in network.buffers()) == 699_024


def test_a_file_of_the_official_form_is_read_or_refused_in_one_line(
    shared: Path, tmp_path: Path
) -> None:
    network = GFPGANClean(out_size=512, narrow=1 / 16, channel_multiplier=1, num_style_feat=8)
    weights = network.state_dict()
    torch.save({"params_ema": weights}, tmp_path / "face.pth")
    loaded = load_face_network(tmp_path / "face.pth").state_dict()
    assert all(torch.equal(loaded[key], value) for key, value in weights.items())

    torch.save({"params_ema": weights | {"extra": torch.ones(1)}}, tmp_path / "more.pth")
    with pytest.raises(CheckpointError, match="has unknown extra for gfpgan"):
        load_face_network(tmp_path / "more.pth")
    del weights["final_linear.bias"]
    torch.save({"params_ema": weights}, tmp_path / "less.pth")
    with pytest.raises(CheckpointError, match=r"lacks final_linear\.bias"):
        load_face_network(tmp_path / "less.pth")
    torch.save({"params": {"body.0.weight": torch.ones(1)}}, tmp_path / "other.pth")
    with pytest.raises(CheckpointError, match="is of no GFPGANv1Clean"):
        load_face_network(tmp_path / "other.pth")


def test_a_network_of_another_size_than_the_template_is_refused(
    shared: Path, tmp_path: Path
) -> None:
    weights, *_ = reference(shared, "gfpgan_clean")
    torch.save({"params_ema": weights}, tmp_path / "small.pth")
    with pytest.raises(ConfigurationError, match="64x64"):
        load_face_network(tmp_path / "small.pth")


def test_a_network_for_faces_is_no_network_of_whole_frames(cache: Path) -> None:
    with pytest.raises(ConfigurationError, match="give it with --face-model"):
        load_network("gfpgan-v1.4")
    with pytest.raises(ConfigurationError, match=r"give a checkpoint, or gfpgan-v1\.4"):
        load_face_network("compact-x4")


def test_missing_networks_say_how_to_pull_them(cache: Path) -> None:
    for name in FACE_RESTORERS:
        with pytest.raises(NotPulled, match=f"`vsr models pull {name}`"):
            check_pulled(name)
        with pytest.raises(NotPulled):
            load_face_network(name)
    with pytest.raises(NotPulled, match="`vsr models pull mtcnn`"):
        load_face_detector()


def test_a_detector_that_was_pulled_in_part_is_missing(cache: Path) -> None:
    for names in (FACE_DETECTORS, FACE_RESTORERS[:1]):
        first, *rest = FACE_MODELS[names[0]].releases[0]
        for file in (first, *rest[:-1]):
            cached_path(file).parent.mkdir(parents=True, exist_ok=True)
            cached_path(file).touch()
    with pytest.raises(NotPulled, match="`vsr models pull mtcnn`"):
        check_pulled(FACE_RESTORERS[0])


def test_terms_come_before_the_file(vsr: Run, cache: Path, tmp_path: Path) -> None:
    wrong = tmp_path / "GFPGANv1.4.pth"
    torch.save({}, wrong)
    done = vsr("models", "pull", "gfpgan-v1.4", "--from", wrong)
    assert done.code == 1
    first, *_, last = done.err.splitlines()
    assert "StyleGAN2" in first
    assert "non-commercial" in first
    assert "has none of these weights" in last


@pytest.mark.parametrize("name", FACE_MODELS)
def test_files_are_known_by_their_whole_hash(name: str, vsr: Run) -> None:
    files = [file for release in FACE_MODELS[name].releases for file in release]
    assert all(len(bytes.fromhex(file.sha256)) == HASH_DIGITS // 2 for file in files)
    shown = vsr("models", "show", name).out
    assert all(file.sha256 in shown for file in files)
