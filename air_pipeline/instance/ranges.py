"""Many days on one machine without launching runs: a few in this process, more in warm ones beside it.

Belongs here: which process builds which days, and what becomes of those that failed. Does not: building them
(`day_builder`), the processes (`workers`), which days need it (`days.range`).

For the underlying Dagster concept, see docs.dagster.io: job execution.
"""

import os
from collections.abc import Iterator, Sequence
from contextlib import closing
from datetime import date
from pathlib import Path

from air_pipeline.instance.day_builder import DayBuilder, OpenJobs
from air_pipeline.instance.storage import open_storage
from air_pipeline.instance.workers import ENDED, Task, Workers

FEW_DAYS = 4
"""So many days are built sooner here than by processes that first have to start: each takes as long as two days do."""
MOST_DAYS = 31
"""Of one run: about a month."""


def build_range(
    home: Path, days: Sequence[date], open_jobs: OpenJobs, *, force: bool, workers: int = 0
) -> Iterator[tuple[date, str]]:
    """Builds days, oldest first: a few in this process, more in processes of their own, a run a process and month.

    A day that fails in a run of many is built once more by a run of its own, which then says why. The newest comes
    last and alone: what Dagster shows as latest, materializations and checks, is then that day's.

    Args:
        home: DAGSTER_HOME, where the events go.
        days: the local dates.
        open_jobs: gives the jobs that build days.
        force: whether to build even what would be built from less than before.
        workers: how many processes; 0 for one a core, or none for a few days.

    Yields:
        Each day as it ends, with what went wrong; empty if nothing did.

    Raises:
        SettingsError: the environment or the settings cannot be used.
        StorageError: Dagster's storage cannot be used.
    """
    if not days:
        return
    os.environ["DAGSTER_HOME"] = str(home)
    open_storage(home)  # made by one, and rid of the runs of builds that were killed
    if not workers and len(days) <= FEW_DAYS:
        builder = DayBuilder(open_jobs)
        for day in sorted(days):
            yield day, builder.build(day, force=force)
        return
    processes = min(workers or os.cpu_count() or 1, len(days))
    with closing(Workers(processes, open_jobs, force=force)) as crew:
        *before, newest = sorted(set(days))
        for together in (before, [newest]):
            failed = []
            for day, said in crew.build(Task(tuple(share)) for share in shares(together, processes)):
                if said and said != ENDED:
                    failed.append(day)
                else:
                    yield day, said
            yield from crew.build(Task((day,), alone=True) for day in sorted(failed))


def shares(days: Sequence[date], processes: int) -> Iterator[Sequence[date]]:
    """Days in order, in runs of about the same length, as many as make all processes end together."""
    rounds = -(-len(days) // (MOST_DAYS * processes))
    number = min(rounds * processes, len(days))
    for place in range(number):
        yield days[place * len(days) // number : (place + 1) * len(days) // number]
