"""Every error a user can meet, in one tree.

VSRError                  exit code 1
├── ConfigurationError    an option, a configuration file or a combination of them; exit code 2
├── MissingDependency     an extra or a program that is not installed
├── OpenError             a source or sink that cannot be opened
├── DecodeError           a source that breaks after it was opened
│   └── ReadError         a source that cannot be read on, though it may be whole
├── EncodeError           an encoder or sink that breaks after it was opened
├── StreamTimeout         no data was received or accepted for too long
├── DownloadError         a download that fails, or is not the expected file
├── CheckpointError       weights that are damaged, or belong to another network
│   └── NotPulled         official weights that have not been pulled yet
└── MemoryLimitError      a frame that does not fit into memory even in tiles

A message is one sentence: what came, what is accepted, what to do. Errors of the libraries below
are converted where they are called, with ``from``.
"""


class VSRError(Exception):
    """Base of all errors raised on purpose."""

    exit_code = 1


class ConfigurationError(VSRError):
    """An option or configuration value that cannot be used."""

    exit_code = 2


class MissingDependency(VSRError):
    """An optional package or an external program that is not installed."""


class OpenError(VSRError):
    """A source or sink that cannot be opened."""


class DecodeError(VSRError):
    """A source that broke while it was read."""


class ReadError(DecodeError):
    """A disk or a connection that failed while a source was read: it may be whole."""


class EncodeError(VSRError):
    """An encoder or sink that broke while it was written to."""


class StreamTimeout(VSRError):
    """A stage that neither delivered nor failed in time."""


class DownloadError(VSRError):
    """A file that could not be downloaded."""


class CheckpointError(VSRError):
    """Weights that cannot be loaded."""


class NotPulled(CheckpointError):
    """Official weights that are not in the cache.

    Attributes:
        model: Name of the model.
    """

    def __init__(self, model: str) -> None:
        super().__init__(f"{model} is not here; `vsr models pull {model}` brings it")
        self.model = model


class MemoryLimitError(VSRError):
    """A frame that does not fit into memory."""
