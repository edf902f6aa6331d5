"""The power fails at any instant: what was accepted is on the disk, and no file is half of one."""

import os
import random
import sqlite3
import sys
from collections.abc import Iterator, Sequence
from contextlib import closing
from datetime import date
from pathlib import Path

import pytest

from air_pipeline.collection.outbox import Outbox
from air_pipeline.devices.simulator import Simulator
from air_pipeline.environment import Environment
from air_pipeline.state import StateDirectory
from air_pipeline.storage.opening import open_store
from air_pipeline_tests.chaos import accepting
from air_pipeline_tests.chaos.counting_device import CountingDevices
from air_pipeline_tests.chaos.power_cut import Event, cuts, has_strace, read_events, record
from air_pipeline_tests.running_pipeline import DAY_TABLES, Installation, write_devices
from air_pipeline_tests.waiting import WITHIN_S

pytestmark = [
    pytest.mark.chaos,
    pytest.mark.skipif(not has_strace() and os.environ.get("CI") != "true", reason="needs strace"),
]

POLLS = 150
CUTS = 120
KEPT = (0.0, 0.5, 1.0)
"""How much of what was not fsynced is on the disk all the same."""


def after_cuts(events: Sequence[Event], root: Path, to: Path, seed: int) -> Iterator[tuple[float, StateDirectory]]:
    """The directory as it is after a power cut at one instant after the other."""
    chance = random.Random(seed)
    for number, (instant, disk) in enumerate(cuts(events, chance, CUTS)):
        for kept in KEPT:
            left = to / f"{number}-{kept}"
            left.mkdir(parents=True)
            disk.after_a_cut(root, left, chance, kept)
            yield instant, StateDirectory(left)


def polls_in(state: StateDirectory) -> set[tuple[str, int]]:
    """The device and slot (ms) of every poll in outbox or store; both can be read."""
    found = set()
    if state.outbox.exists():
        with closing(Outbox(state.outbox)) as outbox:
            found |= {(one.poll.device, one.poll.observed_at) for one in outbox.pending(1_000_000)}
    with closing(open_store(None, state)) as store:
        for device in store.latest():
            found |= {(device, round(at.timestamp() * 1000)) for at in store.polls(device, 0, 10**14).index}
    return found


def test_what_the_outbox_has_accepted_is_there_after_a_power_cut(tmp_path: Path) -> None:
    state, said = tmp_path / "state", tmp_path / "said" / "marks"
    said.parent.mkdir()
    command = [sys.executable, "-m", accepting.__name__, str(state), str(said), str(POLLS)]
    paths = os.pathsep.join(path for path in sys.path if path)
    assert record(command, {**os.environ, "PYTHONPATH": paths}, tmp_path / "logs", within_s=WITHIN_S) == 0
    marks = [event for event in read_events(tmp_path / "logs", said.parent) if event.call == "write"]
    accepted = {int(mark.data.split()[1]): mark.at for mark in marks}
    assert len(accepted) == POLLS
    events = read_events(tmp_path / "logs", state)
    seen = 0
    for instant, left in after_cuts(events, state, tmp_path / "left", seed=1):
        there = {
            (slot - accepting.FIRST_SLOT) // accepting.INTERVAL_MS for device, slot in polls_in(left) if device == "a"
        }
        missing = {number for number, at in accepted.items() if at <= instant} - there
        assert not missing, f"accepted and lost by a power cut: {sorted(missing)}"
        seen += len(there)
    assert seen > CUTS * POLLS / 2


def test_what_a_collector_has_on_the_disk_once_is_there_at_every_later_cut(tmp_path: Path) -> None:
    state = tmp_path / "state"
    with CountingDevices({"a": 0.0, "b": 0.1}) as devices:
        lines = ["timezone: Europe/Warsaw", "start: 2026-11-01", "interval: 1s", "devices:"]
        for name in ("a", "b"):
            lines += [
                f"  - id: {name}",
                f"    url: {devices.url(name)}",
                "    sensors: {counter: {count: {unit: '1'}}}",
            ]
        (tmp_path / "devices.yaml").write_text("\n".join(lines), encoding="utf-8")
        environment = Environment(tmp_path / "devices.yaml", StateDirectory(state), state / "data")
        command = ["timeout", "--preserve-status", "-s", "TERM", "25", sys.executable, "-m", "air_pipeline", "collect"]
        variables = {**os.environ, **environment.variables()}
        assert record(command, variables, tmp_path / "logs", within_s=WITHIN_S) == 0
    events = read_events(tmp_path / "logs", state)
    certain: set[tuple[str, int]] = set()
    for kept, left in zip(KEPT * CUTS, after_cuts(events, state, tmp_path / "left", seed=2), strict=True):
        there = polls_in(left[1])
        assert certain <= there, f"was on the disk before, and is not after this cut: {sorted(certain - there)}"
        if kept == 0.0:
            certain = there
    assert len(certain) > 10, "too little was collected to say anything"


def test_a_day_that_is_built_again_has_whole_files_after_a_power_cut(tmp_path: Path) -> None:
    day = date(2026, 11, 20)
    installation = Installation(tmp_path)
    with Simulator(["a", "b"]) as simulator:
        write_devices(installation.config, simulator, {"a": "60s", "b": "60s"}, day)
    installation.seed(1, [day], 60_000)
    build = ("build", "--from", str(day), "--to", str(day))
    assert installation.run(*build).returncode == 0
    files = [installation.file(table, day) for table in DAY_TABLES]
    before = {file: file.read_bytes() for file in files}
    with installation.config.open("a", encoding="utf-8") as config:
        config.write("    expected_range: {dht22_temperature: [20, 21]}\n")
    command = [sys.executable, "-m", "air_pipeline", *build]
    assert record(command, installation.variables, tmp_path / "logs", within_s=WITHIN_S) == 0
    after = {file: file.read_bytes() for file in files}
    assert all(before[file] != after[file] for file in files)

    data = installation.environment.data
    states = set()
    for _, left in after_cuts(read_events(tmp_path / "logs", data), data, tmp_path / "left", seed=3):
        found = {file: left.path / file.relative_to(data) for file in files}
        for file, path in found.items():
            if path.exists():  # what stood before the recording is no part of it
                assert path.read_bytes() == after[file], f"{file.name} is half a file"
        states.add(sum(path.exists() for path in found.values()))
    assert states >= {0, len(files)}, "no cut fell between the files"


def test_dagster_opens_its_storage_after_a_power_cut(tmp_path: Path) -> None:
    day = date(2026, 11, 20)
    installation = Installation(tmp_path)
    with Simulator(["a"]) as simulator:
        write_devices(installation.config, simulator, {"a": "60s"}, day)
    installation.seed(1, [day], 60_000)
    command = [sys.executable, "-m", "air_pipeline", "build", "--from", str(day), "--to", str(day)]
    assert record(command, installation.variables, tmp_path / "logs", within_s=WITHIN_S) == 0
    home = installation.state / "dagster"
    checked = 0
    for _, left in after_cuts(read_events(tmp_path / "logs", home), home, tmp_path / "left", seed=4):
        for path in left.path.rglob("*.db"):
            with closing(sqlite3.connect(path)) as connection:
                assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)], path
            checked += 1
    assert checked > CUTS
