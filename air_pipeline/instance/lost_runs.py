"""Runs whose process has ended without a word: in a power cut, or killed together with who would have noticed.

Dagster would take each for running until its longest time is over and leave it its place in the queue, and `build_days`
would not build its day. `up` starts this as a process of its own, and so stays small itself: before all others, and
when a run is under way for longer than usual.

For the underlying Dagster concept, see docs.dagster.io: run monitoring.
"""

import json
import os
import socket
import sys
from collections.abc import Mapping
from pathlib import Path

import dagster as dg
from dagster._core.storage.tags import GRPC_INFO_TAG

from air_pipeline.boottime import boot_id

PROCESS_TAG = "air_pipeline/process"
"""Which process a run is in, where no code server was asked for it."""
_BEGUN = [
    dg.DagsterRunStatus.NOT_STARTED,  # for up to a second while it is begun in a process of ours
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]


def give_up_lost_runs(instance: dg.DagsterInstance) -> int:
    """Marks the runs whose process is gone as failed, so that they are tried again, or as canceled; how many.

    Runs of other launchers and other machines are left alone.
    """
    lost = [run for run in instance.get_runs(dg.RunsFilter(statuses=_BEGUN)) if _is_lost(instance, run)]
    for run in lost:
        canceling = run.status is dg.DagsterRunStatus.CANCELING
        report = instance.report_run_canceled if canceling else instance.report_run_failed
        report(run, "The process of this run has ended without a word.")
    return len(lost)


def this_process() -> str:
    """The tag of a run in this process: machine, boot, namespace of process numbers, and number."""
    return json.dumps([*_here(), os.getpid()])


def _here() -> list[str]:
    try:
        names = str(Path("/proc/self/ns/pid").readlink())
    except OSError:  # no Linux
        names = ""
    return [socket.gethostname(), boot_id(), names]


def _is_lost(instance: dg.DagsterInstance, run: dg.DagsterRun) -> bool:
    if run.status is dg.DagsterRunStatus.NOT_STARTED:
        return run.parent_run_id is None and _has_ended(run.tags)
    path = json.loads(run.tags.get(GRPC_INFO_TAG, "{}")).get("socket")
    if path is not None and not _answers(path):
        return True
    started = instance.all_logs(run.run_id, of_type={dg.DagsterEventType.PIPELINE_START})
    pids = [entry.dagster_event.pid for entry in started if entry.dagster_event and entry.dagster_event.pid]
    if not pids:  # Dagster gives up by itself what does not start
        return False
    return not _is_ours(pids[-1]) if path is not None else _has_ended(run.tags, pids[-1])


def _has_ended(tags: Mapping[str, str], pid: int | None = None) -> bool:
    """Whether the process that a tag names has ended; of one that cannot be seen from here it is not known.

    A run that is tried again has the tags of the first, but another process: `pid`, once it has begun.
    """
    try:
        machine, boot, names, number = json.loads(tags[PROCESS_TAG])
    except (KeyError, ValueError, TypeError):
        return False
    here = _here()
    if machine != here[0] or pid not in {None, number}:
        return False
    return boot != here[1] or (names == here[2] and not _is_ours(number))


def _is_ours(pid: int) -> bool:
    """Whether there is such a process that runs this interpreter: the number may have gone to another one since."""
    try:
        return Path(f"/proc/{pid}/exe").resolve(strict=True) == Path(sys.executable).resolve()
    except PermissionError:  # another user's
        return True
    except OSError:
        if sys.platform == "linux":
            return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def _answers(path: str) -> bool:
    with socket.socket(socket.AF_UNIX) as connection:
        try:
            connection.connect(path)
        except OSError:
            return False
    return True


if __name__ == "__main__":
    with dg.DagsterInstance.get() as opened:
        give_up_lost_runs(opened)
