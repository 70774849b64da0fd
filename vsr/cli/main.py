"""The command ``vsr``.

Results go to stdout; progress, logs and errors to stderr. Exit codes: 0 done, 1 one of our errors,
2 usage, 130 interrupted. Every option can be set by the environment too:
``VSR_RESTORE_DEVICE=cpu``. No command loads torch before it runs: help and completion are quick.
"""

from __future__ import annotations

import errno
import logging
import os
import sys
from io import StringIO

import click

from vsr.address import redact
from vsr.cli.assess import assess
from vsr.cli.bench import bench
from vsr.cli.degrade import degrade
from vsr.cli.eval import evaluate
from vsr.cli.info import info
from vsr.cli.live import live
from vsr.cli.models import bring, models, terms
from vsr.cli.restore import restore
from vsr.cli.signals import INTERRUPTED
from vsr.cli.train import train
from vsr.cli.web import side_by_side, web
from vsr.errors import NotPulled, VSRError

EPILOG = """\b
Every option can be set by the environment, such as VSR_RESTORE_DEVICE=cpu.
Completion in bash: eval "$(_VSR_COMPLETE=bash_source vsr)"; also zsh_source, fish_source.
docs/command_line.md has more of both.
"""


@click.group(
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog=EPILOG,
)
@click.version_option(package_name="vsr-stream", prog_name="vsr")
@click.option("-v", "--verbose", is_flag=True, help="Say more about what happens.")
def vsr(verbose: bool) -> None:
    """Restore video with networks that see both directions of time, as a stream."""
    level = logging.INFO if verbose else logging.WARNING
    logging.basicConfig(level=level, format="%(levelname)s: %(message)s", stream=sys.stderr)


for command in (restore, live, web, assess, evaluate, train, degrade, bench, models, info):
    vsr.add_command(command)
vsr.add_command(side_by_side)  # hidden: the page's own


def _name_variables(command: click.Command, prefix: str) -> None:
    """Name the environment variable of each option after the option."""
    for option in (p for p in command.params if isinstance(p, click.Option) and p.envvar is None):
        if not option.expose_value:  # --version: a variable of that name has other uses
            option.allow_from_autoenv = False
            continue
        longest = max(option.opts, key=len).lstrip("-")
        option.envvar = f"{prefix}_{longest}".replace("-", "_").upper()
    for name, below in getattr(command, "commands", {}).items():
        _name_variables(below, f"{prefix}_{name}")


_name_variables(vsr, "VSR")


_REFUSALS = {
    errno.ENAMETOOLONG: "give a shorter name",
    errno.EACCES: "give a place that this user may use",
    errno.EPERM: "give a place that this user may use",
    errno.EROFS: "give a place that can be written",
    errno.ENOSPC: "make room on the disk",
    errno.EDQUOT: "make room within the quota of the disk",
    errno.EFBIG: "raise the limit of a file's size (ulimit -f)",
    errno.ENFILE: "end other programs: the system has no more open files",
    errno.EMFILE: "raise the limit of open files (ulimit -n)",
    errno.ENOMEM: "free memory, or raise the limit (ulimit -v)",
    errno.EAGAIN: "raise the limit of processes (ulimit -u)",
}
"""Advice about errors of the system that may come up anywhere."""


_NO_MEMORY = ("can't start new thread", "failed to map segment", "cannot allocate memory")
"""Messages of threads, loaded libraries and torch when the system gives no more memory."""


def main() -> None:
    """Run the command line; errors become one line and an exit code."""
    try:
        code = _run()
    except click.exceptions.Abort:
        click.echo("vsr: interrupted", err=True)
        code = INTERRUPTED
    except click.ClickException as error:
        click.echo(redact(_message(error)), err=True)
        code = error.exit_code
    except VSRError as error:
        click.echo(f"vsr: {error}", err=True)
        code = error.exit_code
    except BrokenPipeError:
        # Whoever read stdout has gone (`vsr models | head`); nothing is left to say.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 1
    except (OSError, MemoryError, RuntimeError, ImportError) as error:
        if (line := _of_the_system(error)) is None:
            raise
        click.echo(f"vsr: {redact(line)}", err=True)
        code = 1
    sys.exit(code or 0)


def _of_the_system(error: Exception) -> str | None:
    """A line about an error of the system, from any library; None for a fault of ours."""
    if isinstance(error, OSError) and error.errno in _REFUSALS:
        where = f" ({str(error.filename)[:60]!r}…)" if error.filename else ""
        return f"{error.strerror}{where}; {_REFUSALS[error.errno]}"
    refused = any(words in str(error) for words in _NO_MEMORY)
    if isinstance(error, MemoryError) or refused:
        return "the system gives no more memory or threads; raise its limits (ulimit -v, -u)"
    return None


def _message(error: click.ClickException) -> str:
    """Text of an error as click shows it: how the command is used, and what is wrong."""
    shown = StringIO()
    error.show(shown)
    return shown.getvalue().rstrip()


def _run() -> int | None:
    """Run the command; if weights are missing and the user agrees, pull them and run it again."""
    while True:
        try:
            code: int | None = vsr.main(auto_envvar_prefix="VSR", standalone_mode=False)
            return code
        except NotPulled as error:
            if not (sys.stdin.isatty() and sys.stderr.isatty()):
                raise
            click.echo(terms(error.model), err=True)
            if not click.confirm(
                f"{error.model} is not here; pull it now?", default=True, err=True
            ):
                raise
            bring(error.model, mirror=os.environ.get("VSR_MIRROR"))
