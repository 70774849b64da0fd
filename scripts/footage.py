"""Fetch photographs to train on: ``python -m scripts.footage FOLDER``.

They come from wallpaper packages of Debian, by apt-get and dpkg-deb, which need no root for this;
only those whose licence is one of ``LICENCES`` are kept. FOLDER/stills gets the pictures,
FOLDER/stills.tsv says where each is from. It is what ``photographs`` of a training configuration
names; add videos of your own, or set ``photograph_share`` to 1.
"""

from __future__ import annotations

import csv
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import astuple, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import click

PACKAGES = ("lomiri-wallpapers-16.04", "lomiri-wallpapers-20.04")

LICENCES = frozenset({"CC0-1.0", "CC-BY-4.0", "CC-BY-SA-3.0", "CC-BY-SA-4.0"})
"""Licences of pictures whose trained weights may be given away, with the authors named."""


@dataclass(frozen=True, kw_only=True)
class Photograph:
    """Where a picture is from: name of its file, Debian package, licence and author."""

    name: str
    package: str
    licence: str
    author: str


@click.command()
@click.argument("folder", type=click.Path(path_type=Path))
def main(folder: Path) -> None:
    """Fetch photographs into FOLDER/stills."""
    stills = folder / "stills"
    stills.mkdir(parents=True, exist_ok=True)
    found = [photograph for package in PACKAGES for photograph in fetched(package, stills)]
    with (folder / "stills.tsv").open("w", newline="") as file:
        rows = csv.writer(file, delimiter="\t")
        rows.writerow(("file", "package", "licence", "author"))
        rows.writerows(astuple(photograph) for photograph in found)
    click.echo(f"{len(found)} photographs in {stills}")


def fetched(package: str, stills: Path) -> list[Photograph]:
    """Fetch a package and copy its photographs."""
    with TemporaryDirectory() as name:
        work = Path(name)
        try:
            subprocess.run(["apt-get", "-q", "download", package], check=True, cwd=work)
            (archive,) = work.glob("*.deb")
            subprocess.run(["dpkg-deb", "-x", archive, work], check=True)
        except (OSError, subprocess.CalledProcessError) as error:
            raise click.ClickException(
                f"{package} could not be fetched ({error}); run apt-get update on Debian first"
            ) from error
        pictures = {path.name: path for path in work.rglob("*.jpg")}
        text = (work / "usr/share/doc" / package / "copyright").read_text(encoding="utf-8")
        kept = [entry for entry in photographs(text, package) if entry.name in pictures]
        for entry in kept:
            shutil.copy(pictures[entry.name], stills / entry.name)
        return kept


def photographs(copyright_text: str, package: str) -> Iterator[Photograph]:
    """The pictures that a machine-readable copyright file names under one of ``LICENCES``."""
    for paragraph in copyright_text.split("\n\n"):
        lines = (line.partition(":") for line in paragraph.splitlines() if line[:1].strip())
        fields = {key.strip(): value.strip() for key, _, value in lines}
        if fields.get("License") in LICENCES and fields.get("Files", "").endswith(".jpg"):
            yield Photograph(
                name=Path(fields["Files"]).name,
                package=package,
                licence=fields["License"],
                author=fields.get("Copyright", ""),
            )


if __name__ == "__main__":
    main()
