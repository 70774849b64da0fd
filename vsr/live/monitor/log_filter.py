"""Log lines and errors of running streams, without the secrets of addresses."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from vsr.address import redact
from vsr.errors import VSRError

_FORMATTER = logging.Formatter()


class RedactingFilter(logging.Filter):
    """Shortens every address in a record, its traceback included, to scheme, host and port."""

    def filter(self, record: logging.LogRecord) -> bool:
        record.msg, record.args = redact(record.getMessage()), None
        if record.exc_info and not record.exc_text:
            record.exc_text = redact(_FORMATTER.formatException(record.exc_info))
        return True


@contextmanager
def redacting() -> Iterator[None]:
    """Redact what the root logger's handlers write, and the errors that leave this context."""
    handlers, redaction = list(logging.getLogger().handlers), RedactingFilter()
    for handler in handlers:
        handler.addFilter(redaction)
    try:
        yield
    except VSRError as error:
        error.args = (redact(str(error)),)
        raise
    finally:
        for handler in handlers:
            handler.removeFilter(redaction)
