"""The outbox of a running collector is removed, replaced, moved away, damaged: what is accepted afterwards is kept."""

import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from functools import partial
from pathlib import Path

import pytest

from air_pipeline.collection.outbox import OutboxError, existing_outbox
from air_pipeline.devices.simulator import Simulator
from air_pipeline.state import StateDirectory
from air_pipeline_tests.waiting import WITHIN_S, wait_for

Windows = set[tuple[int, int]]
"""Of each poll its slot and the end of its answer, in ms."""


@pytest.fixture
def simulator() -> Iterator[Simulator]:
    with Simulator(["a"]) as running:
        yield running


def waiting(state: StateDirectory) -> Windows:
    """The polls that are in the outbox; none while it cannot be read."""
    with suppress(OutboxError):
        if (box := existing_outbox(state.outbox)) is not None:
            with closing(box):
                polls = [one.poll for one in box.pending(10_000)]
                return {(poll.observed_at, poll.observed_at + round(poll.duration_ms)) for poll in polls}
    return set()


def polls_since(state: StateDirectory, since: int) -> list[tuple[int, int]]:
    """The polls of slots after that, once there are several."""
    found = [one for one in waiting(state) if one[0] > since]
    return found if len(found) > 2 else []


def removed(state: StateDirectory) -> None:
    state.outbox.unlink()


def removed_with_its_log(state: StateDirectory) -> None:
    for file in state.path.glob("outbox.sqlite*"):
        file.unlink()


def restored(state: StateDirectory) -> None:
    """A copy of before takes its place, while its log is beside it still."""
    copy = state.path / "copy.sqlite"
    copy.unlink(missing_ok=True)
    with closing(sqlite3.connect(state.outbox)) as other:
        other.execute("VACUUM INTO ?", (str(copy),))
    before = waiting(state)
    wait_for(lambda: waiting(state) - before, "a poll that is not in the copy")
    copy.replace(state.outbox)


def moved_away(state: StateDirectory) -> None:
    state.path.rename(state.path.with_name(f"away-{time.monotonic_ns()}"))


def overwritten(state: StateDirectory) -> None:
    for file in (state.outbox, state.outbox.with_name("outbox.sqlite-wal")):
        size = file.stat().st_size
        with file.open("r+b") as opened:
            opened.write(b"\xff" * size)


DEEDS: tuple[Callable[[StateDirectory], None], ...] = (
    removed,
    restored,
    overwritten,
    removed_with_its_log,
    moved_away,
)


@pytest.mark.slow
def test_whatever_happens_to_the_outbox_in_use_what_is_accepted_afterwards_is_kept(
    tmp_path: Path, simulator: Simulator
) -> None:
    """By what the device saw: each of its answers is in a poll, from the first that was asked for after the deed on."""
    config = tmp_path / "devices.yaml"
    config.write_text(
        "timezone: Europe/Warsaw\nstart: 2026-11-01\ninterval: 1s\ndevices:\n"
        f"  - id: a\n    url: {simulator.url('a')}\n",
        encoding="utf-8",
    )
    state = StateDirectory(tmp_path / "state")
    nowhere = {"URL": "http://127.0.0.1:9", "TOKEN": "token", "ORG": "home", "BUCKET": "air"}
    variables = {"AIR_PIPELINE_CONFIG": str(config), "AIR_PIPELINE_STATE": str(state)}
    variables |= {f"INFLUXDB_V2_{name}": value for name, value in nowhere.items()}
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "air_pipeline", "collect"], env={**os.environ, **variables}, stderr=log
        )
    try:
        wait_for(lambda: len(waiting(state)) >= 2, "polls in the outbox")
        for deed in DEEDS:
            deed(state)
            since = time.time_ns() // 1_000_000
            after = wait_for(partial(polls_since, state, since), f"polls after it was {deed.__name__}")
            found, end = waiting(state), max(end for _, end in after)
            asked = [ms for ms in simulator.requests("a").times_ms if since < ms < end - 1_000]
            lost = [ms for ms in asked if not any(slot <= ms <= done for slot, done in found)]
            assert lost == [], f"{deed.__name__}: of {len(asked)}"
        process.send_signal(signal.SIGTERM)
        assert process.wait(WITHIN_S) == 0
    finally:
        process.kill()
        process.wait()
    told = (tmp_path / "log").read_text(encoding="utf-8")
    assert "was removed or replaced while in use" in told
    assert "is set aside as" in told
    assert "Traceback" not in told
    with closing(sqlite3.connect(state.outbox)) as other:
        assert other.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    shutil.rmtree(state.path)
