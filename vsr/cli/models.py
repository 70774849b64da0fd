"""``vsr models`` with ``pull``, ``convert``, ``measure`` and ``path``."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from vsr.cli.progress import download_bar
from vsr.cli.tables import print_table
from vsr.errors import ConfigurationError, OpenError
from vsr.models.catalogue import (
    DEFAULT_MODEL,
    MODELS,
    load_network,
    network_from_file,
    weights_path,
)
from vsr.models.checkpoints.zoo import BASE_URL, Model, Quality

if TYPE_CHECKING:
    from torch import Tensor

    from vsr.models.network import Network

HEADINGS = (
    "model",
    "scale",
    "trained for",
    "parameters",
    "size multiple",
    "published PSNR / SSIM",
    "licence of weights",
    "file",
)


@click.group(invoke_without_command=True)
@click.option("--json", "as_json", is_flag=True, help="Print JSON, with all that is known.")
@click.pass_context
def models(context: click.Context, as_json: bool) -> None:
    """List the networks; pull, convert and measure their weights.

    Trained for: BI is MATLAB's bicubic, BD blur and then every 4th pixel; on another degradation a
    network loses 2 to 6 dB. Size multiple: other sizes are padded to it and cropped again.
    """
    if context.invoked_subcommand is not None:
        return
    if as_json:
        click.echo(json.dumps({name: _described(name, model) for name, model in MODELS.items()}))
    else:
        print_table(HEADINGS, [_row(name, model) for name, model in MODELS.items()])


@models.command()
@click.argument("name")
@click.option(
    "--mirror",
    metavar="URL",
    envvar="VSR_MIRROR",
    show_envvar=True,
    help=f"Base address instead of {BASE_URL}",
)
@click.option("--force", is_flag=True, help="Fetch it anew even if it is here.")
def pull(name: str, mirror: str | None, force: bool) -> None:
    """Bring official weights into the cache; print their place.

    The cache is the folder VSR_HOME, or the platform's own; what is in it works offline. After a
    cut connection the next pull fetches the rest.
    """
    from vsr.models.checkpoints.download import pull as bring

    model = MODELS.get(name)
    if model is None or model.file is None:
        named = ", ".join(known for known, other in MODELS.items() if other.file)
        raise ConfigurationError(f"{name!r} cannot be pulled; give one of {named}")
    with download_bar(name) as on_progress:
        path = bring(model.file, mirror=mirror, force=force, on_progress=on_progress)
    if model.notice:
        click.echo(f"{name}: {model.notice}", err=True)
    click.echo(path)


@models.command("path")
@click.argument("name")
def print_path(name: str) -> None:
    """Print where the weights of NAME are, or will be once pulled."""
    found = weights_path(name) if name in MODELS else None
    if found is None:
        named = ", ".join(known for known in MODELS if weights_path(known))
        raise ConfigurationError(f"{name!r} has no file of weights; give one of {named}")
    click.echo(found)


@models.command()
@click.argument("source", metavar="A")
@click.argument("target", metavar="B")
@click.option("--half", is_flag=True, help="Store float16: half the size, rounded.")
@click.option("-y", "--overwrite", is_flag=True, help="Replace B if it exists.")
def convert(source: str, target: str, half: bool, overwrite: bool) -> None:
    """Write the checkpoint A as B, safetensors with our names.

    A is a model that `vsr models` lists, or any checkpoint of BasicSR, of OpenMMLab, of the first
    EDVR code or ours, or FIRST+SECOND: two EDVR as one cascade. Values stay as they are.
    """
    import torch

    from vsr.models.checkpoints.checkpoint import save_network

    _refuse_target(target, overwrite)
    network = _network(source)
    save_network(network, Path(target), dtype=torch.float16 if half else torch.float32)
    count = sum(parameter.numel() for parameter in network.parameters())
    facts = network.facts
    kind = "float16" if half else "float32"
    click.echo(f"{target}: {facts.name}, x{facts.scale}, {count:,} parameters, {kind}")


def _network(source: str) -> Network[Any]:
    """Of a model's name, or of a checkpoint."""
    if source not in MODELS or Path(source).exists():
        return network_from_file(Path(source))
    if weights_path(source) is None:
        raise ConfigurationError(f"{source!r} has no file of weights; give a checkpoint")
    return load_network(source)


def _refuse_target(target: str, overwrite: bool) -> None:
    if Path(target).suffix != ".safetensors":
        raise ConfigurationError(f"{target!r} has another ending; give a name.safetensors")
    if Path(target).exists() and not overwrite:
        raise OpenError(f"{target!r} already exists; give another name, or -y to replace it")


@models.command()
@click.argument("source", metavar="A")
@click.argument("target", metavar="B")
@click.argument("videos", metavar="VIDEO...", nargs=-1, required=True)
@click.option(
    "--frames", default=8, show_default=True, type=click.IntRange(min=1), help="Of each video."
)
@click.option("-y", "--overwrite", is_flag=True, help="Replace B if it exists.")
def measure(
    source: str, target: str, videos: tuple[str, ...], frames: int, overwrite: bool
) -> None:
    """Write the checkpoint A as B, knowing how large features get.

    That is what its form on 8-bit integers (--precision int8) has to know. It is measured on the
    first frames of each VIDEO: footage as it will be restored, of as many kinds as there are.
    `vsr train` does it by itself.
    """
    from vsr.models.checkpoints.checkpoint import save_network

    _refuse_target(target, overwrite)
    network = _network(source)
    known = network.measured(_beginning(video, frames) for video in videos)
    if not known.has_int8:
        raise ConfigurationError(f"{source!r}: {network.facts.name} has no int8 form; give compact")
    save_network(known, Path(target))
    click.echo(f"{target}: {known.facts.name}, x{known.facts.scale}, measured, float16")


def _beginning(video: str, num_frames: int) -> Tensor:
    """(1, T, 3, H, W): the first frames of a file."""
    from vsr.streams.open import open_reader

    with open_reader(video) as reader:
        chunk = next(reader.chunks(num_frames), None)
    if chunk is None:
        raise OpenError(f"{video!r} has no frames; give another video")
    return chunk.frames[None]


def _described(name: str, model: Model) -> dict[str, Any]:
    """All facts of a model, and where its file is, as JSON has them."""
    found = weights_path(name)
    facts = asdict(model) | {"status": _status(name, model), "path": found and str(found)}
    if model.file is not None:
        facts["file"] |= {
            "name": model.file.name,
            "sha256_prefix": model.file.sha256_prefix,
            "url": BASE_URL + model.file.path,
        }
    return facts


def _row(name: str, model: Model) -> tuple[str, ...]:
    """A model as a line of the table."""
    cells = (
        f"{name} (default)" if name == DEFAULT_MODEL else name,
        "" if model.scale is None else f"x{model.scale}",
        ", ".join(filter(None, (model.degradation, model.trained_on))),
        "" if model.parameters is None else f"{model.parameters:,}",
        "" if model.size_multiple is None else str(model.size_multiple),
        _published(model.quality[0]) if model.quality else "",
        model.licence,
        _status(name, model),
    )
    return tuple(cell or "-" for cell in cells)


def _published(one: Quality) -> str:
    """A figure, as a cell of the table."""
    return f"{one.data} {one.channels} {one.psnr_db:.2f} / {one.ssim:.4f} ({one.source})"


def _status(name: str, model: Model) -> str:
    """Whether the weights are here, in words."""
    if model.weights is not None:
        return "shipped"
    if model.file is None:
        return "bring a file" if model.needs_weights else "none needed"
    found = weights_path(name)
    return "in cache" if found and found.is_file() else "not pulled"
