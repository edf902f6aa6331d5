"""What `up` does beside its parts, seldom and cheaply: a log kept small, runs that were lost, old history.

Belongs here: when. Does not: how (`instance`, `state`), each in a process of its own, so that this one stays small.
"""

import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing, suppress
from pathlib import Path
from time import monotonic
from typing import IO

from air_pipeline.processes import end_with_parent
from air_pipeline.state import LARGE_LOG_BYTES

LOOK_FOR_LOST_S = 45.0
"""A run that is under way at two looks is looked at closer: a day takes seconds."""
PRUNE_FIRST_S = 600.0
"""After the start, once all is calm."""
PRUNE_EVERY_S = 86_400.0
_BEGUN = "status IN ('NOT_STARTED', 'STARTING', 'STARTED', 'CANCELING')"


class Housekeeping:
    """Does what is due; asked every moment."""

    def __init__(self, home: Path, log: Path, variables: dict[str, str], output: IO[bytes]) -> None:
        """Begins to count.

        Args:
            home: where Dagster's storage is.
            log: what the parts write to, opened for appending.
            variables: the whole environment of what is started.
            output: where it writes.
        """
        self._home, self._log = home, log
        self._variables, self._output = variables, output
        self._begun: set[str] = set()
        self._look_at = 0.0
        self._prune_at = monotonic() + PRUNE_FIRST_S
        self._working: list[subprocess.Popen[bytes]] = []

    def work(self) -> None:
        """Starts what is due, and waits for nothing."""
        self._working = [process for process in self._working if process.poll() is None]
        if monotonic() >= self._look_at:
            self._look_at = monotonic() + LOOK_FOR_LOST_S
            keep_open_log_small(self._log)
            begun = begun_runs(self._home)
            if self._begun & begun:
                self._start("air_pipeline.instance.lost_runs")
            self._begun = begun
        if monotonic() >= self._prune_at:
            self._prune_at = monotonic() + PRUNE_EVERY_S
            self._start("air_pipeline", "prune")

    def stop(self) -> None:
        """Ends what is at work: whatever it does is whole at any moment."""
        for process in self._working:
            process.kill()
            process.wait()

    def _start(self, *module: str) -> None:
        with suppress(OSError):  # there are no more processes, files or memory: another time, then
            process = subprocess.Popen(  # noqa: S603 -- this interpreter
                [sys.executable, "-m", *module],
                env=self._variables,
                stdin=subprocess.DEVNULL,
                stdout=self._output,
                stderr=self._output,
                start_new_session=True,
                preexec_fn=end_with_parent,  # noqa: PLW1509 -- nothing else runs in this process yet or takes locks
            )
            self._working.append(process)


def begun_runs(home: Path) -> set[str]:
    """The runs that are under way by Dagster's own word; none where its storage is no SQLite file, or busy."""
    path = home / "history" / "runs.db"
    with (
        suppress(sqlite3.Error),
        closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", timeout=1.0, uri=True)) as database,
    ):
        return {str(run) for (run,) in database.execute(f"SELECT run_id FROM runs WHERE {_BEGUN}")}  # noqa: S608 -- ours
    return set()


def keep_open_log_small(path: Path) -> None:
    """Sets aside (under its name with `.1`) what is in a log that others have open for appending, and empties it.

    What they write between the copy and its end is lost; where there is no room for a copy, the log is emptied all the
    same: a full disk is not made fuller.
    """
    with suppress(FileNotFoundError):
        if path.stat().st_size <= LARGE_LOG_BYTES:
            return
        aside = path.with_name(f"{path.name}.1")
        try:
            shutil.copyfile(path, aside)
            aside.chmod(0o600)
        except OSError:
            with suppress(OSError):
                aside.unlink(missing_ok=True)
        with path.open("r+b") as file:
            file.truncate(0)
