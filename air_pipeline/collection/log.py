"""What the collector says while it runs: on the standard error, or in a file that never grows large.

Belongs here: how a line looks and where it goes. Does not: what is said.
"""

import logging
import os
import sys
from logging.handlers import RotatingFileHandler
from pathlib import Path

from air_pipeline.showing import plain_lines, without_secrets_in
from air_pipeline.state import LARGE_LOG_BYTES

_FORMAT = "%(asctime)s %(levelname)s %(message)s"


class Formatter(logging.Formatter):
    """A record begins a line; what else it says is indented, so that no device or server can forge a record."""

    def format(self, record: logging.LogRecord) -> str:
        """The lines, without a character that does something to a terminal, and without the secrets of addresses."""
        return plain_lines(without_secrets_in(super().format(record))).replace("\n", "\n    ")


class Rotating(RotatingFileHandler):
    """A file that is set aside (under its name with `.1`) when it has grown large, while the process runs.

    The standard output and error go where it goes: what libraries and the interpreter say is in it, and bounded too.
    """

    def __init__(self, path: Path, largest: int = LARGE_LOG_BYTES) -> None:
        super().__init__(path, maxBytes=largest, backupCount=1, encoding="utf-8")
        self._take_output()

    def doRollover(self) -> None:  # noqa: N802 -- logging's name
        """Goes on in a new file."""
        super().doRollover()
        self._take_output()

    def _take_output(self) -> None:
        if self.stream is not None:
            for descriptor in (1, 2):
                os.dup2(self.stream.fileno(), descriptor)


def log_to_stderr() -> None:
    """For a collector that somebody else started and whose words that somebody keeps."""
    _log_by(logging.StreamHandler(sys.stderr))


def log_to_file(path: Path) -> None:
    """For a collector that Dagster keeps: nobody else bounds what it says."""
    _log_by(Rotating(path))


def _log_by(handler: logging.Handler) -> None:
    handler.setFormatter(Formatter(_FORMAT))
    logging.basicConfig(level=logging.INFO, handlers=[handler])
