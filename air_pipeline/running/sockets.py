"""Where the parts of `up` meet: a directory with a short path, whose leftovers the next `up` removes."""

import shutil
import tempfile
from pathlib import Path

from air_pipeline.state import StateDirectory

_PREFIX = "air-pipeline-"


def make_sockets(state: StateDirectory) -> Path:
    """A new directory for sockets; what a killed `up` of this state directory left is removed.

    Not in the state directory itself: its path may be longer than that of a socket can be, and its disk know none.
    """
    remove_sockets(state)
    here = Path(tempfile.mkdtemp(prefix=_PREFIX))
    state.write(state.sockets, str(here))
    return here


def remove_sockets(state: StateDirectory) -> None:
    """Removes the directory that was made last."""
    last = Path(state.read(state.sockets))
    if last.name.startswith(_PREFIX):
        shutil.rmtree(last, ignore_errors=True)
    state.sockets.unlink(missing_ok=True)
