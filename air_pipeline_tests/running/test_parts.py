"""What `up` has started is gone from the machine when it says that it has stopped."""

import os
import resource
import sys
import threading
from pathlib import Path

import psutil
import pytest

from air_pipeline.collection.lease import extend_lease, holder
from air_pipeline.running import parts
from air_pipeline.running.housekeeping import Housekeeping
from air_pipeline.running.parts import Part, revive, start_part, stop_collector, stop_parts
from air_pipeline.state import StateDirectory
from air_pipeline_tests.waiting import WITHIN_S, wait_for

# A part whose helper hears no signal but the last, and has much to give back when that comes.
WITH_HELPER = """
import os, signal, sys, time
if os.fork() == 0:
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    much = bytearray(os.urandom(1)) * 500_000_000
    open(sys.argv[1], "w").write(str(os.getpid()))
    while True:
        time.sleep(1)
time.sleep(100)
"""
# A collector that has given back its lock and takes its time to end.
SLOW_TO_END = """
import sys, time
from pathlib import Path
from air_pipeline.collection.lease import CollectorLock, lease_holds
from air_pipeline.state import StateDirectory
state = StateDirectory(Path(sys.argv[1]))
with CollectorLock(state, leased=True):
    while lease_holds(state):
        time.sleep(0.05)
time.sleep(1)
"""


def process_of(folder: Path, program: str, *arguments: object) -> Part:
    """The program, started as a part of `up` is."""
    (folder / "program.py").write_text(program, encoding="utf-8")
    part = Part("program", [sys.executable, "-m", "program", *map(str, arguments)])
    paths = os.pathsep.join(path for path in (str(folder), *sys.path) if path)
    with (folder / "log").open("ab") as output:
        start_part(part, {**os.environ, "PYTHONPATH": paths}, output)
    return part


@pytest.fixture(autouse=True)
def _patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """What ends is waited for as long as a slow machine takes."""
    for limit in ("COLLECTOR_STOP_WITHIN_S", "GONE_WITHIN_S"):
        monkeypatch.setattr(parts, limit, WITHIN_S)


def test_nothing_that_a_part_started_outlives_its_stop(tmp_path: Path) -> None:
    written = tmp_path / "pid"
    part = process_of(tmp_path, WITH_HELPER, written)
    helper = wait_for(lambda: written.exists() and written.read_text(encoding="utf-8"), "the helper")
    assert psutil.pid_exists(int(helper))
    stop_parts([part])
    assert part.process is not None
    assert part.process.returncode is not None
    assert not psutil.pid_exists(int(helper))


def test_a_collector_is_gone_when_it_counts_as_stopped(tmp_path: Path) -> None:
    state = StateDirectory(tmp_path)
    extend_lease(state, 2 * WITHIN_S)
    process = process_of(tmp_path, SLOW_TO_END, tmp_path).process
    assert process is not None
    reaper = threading.Thread(target=process.wait)  # what the first process of a machine does for orphans
    reaper.start()
    wait_for(lambda: holder(state), "the collector")
    stop_collector(state)
    assert not psutil.pid_exists(process.pid)
    reaper.join()


def test_a_part_that_cannot_be_started_again_now_is_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A machine that gives no more files, memory or processes is no reason to end the other parts."""
    monkeypatch.setattr(parts, "_RESTART_AFTER_S", -1.0)
    part = Part("daemon", [sys.executable, "-c", "pass"])
    with (tmp_path / "log").open("ab") as output:
        start_part(part, dict(os.environ), output)
        assert part.process is not None
        part.process.wait()
        keeper = Housekeeping(tmp_path, tmp_path / "log", {}, output)
        keeper._prune_at = 0.0
        limits = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (0, limits[1]))
        try:
            said = list(revive([part], dict(os.environ), output))
            keeper.work()
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, limits)
        assert said == ["the daemon has ended and cannot be started now (Too many open files); it is tried again"]
        assert list(revive([part], dict(os.environ), output)) == ["the daemon has ended and is started again"]
        part.process.wait()
