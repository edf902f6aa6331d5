"""The file that a command writes its rows or page into: what may be wrong with it.

Belongs here: what is known before anything is read. Does not: what is written (`rows`).
"""

from pathlib import Path

from air_pipeline.errors import AirPipelineError


class OutputError(AirPipelineError):
    """A file cannot be written; the message names it and says why."""


def check_output(output: Path | None) -> None:
    """Makes sure that the file has a directory, before anything is read.

    Raises:
        OutputError: it has none.
    """
    if output is not None and not output.parent.is_dir():
        raise OutputError(f"{output} cannot be written: there is no directory {output.parent}; make it first")
