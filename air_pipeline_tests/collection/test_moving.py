"""A state directory moves from one store to the other: with real stores, processes and signals."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from air_pipeline.collection.lease import CollectorLock
from air_pipeline.collection.moving import MoveUnfinished, between_embedded_and_influxdb, copy_part, move_readings
from air_pipeline.collection.outbox import Outbox
from air_pipeline.days.range import Plan, plan_range
from air_pipeline.deployment import Deployment
from air_pipeline.devices.polls import Poll
from air_pipeline.environment import Environment
from air_pipeline.settings import InfluxConnection, SettingsError
from air_pipeline.storage.copying import CopyError
from air_pipeline.storage.opening import open_store
from air_pipeline.storage.store import StoreRefused, StoreUnavailable
from air_pipeline.storage.written_over import written_over
from air_pipeline_tests.days.deployments import BEFORE, DAY, build, deployment, poll, seed, window
from air_pipeline_tests.influxdb_server import InfluxServer
from air_pipeline_tests.running_pipeline import Installation
from air_pipeline_tests.waiting import wait_for

pytestmark = pytest.mark.influxdb

MINUTE = 60_000


class Moved(Installation):
    """An installation with an InfluxDB to move to, as commands and functions see it."""

    def __init__(self, folder: Path, connection: InfluxConnection) -> None:
        names = ("INFLUXDB_V2_URL", "INFLUXDB_V2_TOKEN", "INFLUXDB_V2_ORG", "INFLUXDB_V2_BUCKET")
        values = (connection.url, connection.token, connection.org, connection.bucket)
        super().__init__(folder, dict(zip(names, values, strict=True)))
        self.config.write_text(
            "timezone: Europe/Warsaw\nstart: 2026-11-20\ndevices:\n- {id: hall, url: http://hall/}\n", encoding="utf-8"
        )

    @property
    def embedded(self) -> Environment:
        return replace(self.environment, influxdb=None)

    def write(self, polls: list[Poll], environment: Environment | None = None) -> None:
        with closing(open_store((environment or self.embedded).influxdb, self.environment.state)) as store:
            store.write(polls)

    def polls(self, environment: Environment) -> int:
        """How many there are."""
        with closing(open_store(environment.influxdb, environment.state)) as store:
            return sum(summary.polls for summary in store.summaries(-(2**62), 2**62).values())


@pytest.fixture
def home(tmp_path: Path, influxdb: InfluxServer) -> Moved:
    return Moved(tmp_path, influxdb.connection())


def a_day_of_polls(day: date = DAY) -> list[Poll]:
    start, end = window(day)
    return [poll(at) for at in range(start, end, 10 * MINUTE)]


def test_what_is_copied_into_the_store_of_built_days_has_them_compared(home: Moved) -> None:
    """However old they are; a move to another store needs none of it, as that then holds the same."""
    [old, *new] = a_day_of_polls()
    home.write([old])
    list(move_readings(between_embedded_and_influxdb(home.environment, to_embedded=False)))
    marks = late_marks(home)
    home.write([old, *new])
    list(copy_part(between_embedded_and_influxdb(home.environment, to_embedded=False), -(2**63), 2**63))
    assert (marks, late_marks(home)) == (set(), {BEFORE, DAY})  # the dates in UTC
    assert home.polls(home.environment) == len([old, *new])


def late_marks(home: Moved) -> set[date]:
    with closing(open_store(home.environment.influxdb, home.environment.state)) as store:
        return {mark.day for mark in written_over(store)}


def test_days_that_other_values_were_copied_over_are_built_again_however_many_there_were_before(
    tmp_path: Path, influxdb: InfluxServer
) -> None:
    """By the counts alone the day is what it was: one poll more of the next one is why its values are copied."""
    start, end = window()
    home = Moved(tmp_path, influxdb.connection())
    settings = deployment(tmp_path, start=DAY, now=datetime(2026, 11, 22, 12, tzinfo=UTC)).settings
    deployed = Deployment(home.embedded, settings, now=lambda: datetime(2026, 11, 22, 12, tzinfo=UTC))
    polls = [poll(at, value=20.0) for at in range(start, end, 10 * MINUTE)]
    deployed.store.write([*polls, poll(end)])
    build(deployed)
    assert plan_range(deployed, None, None, force=False) == Plan(current=[DAY])
    others = [poll(one.observed_at, value=25.0) for one in polls]
    home.write([*others, poll(end), poll(end + 10 * MINUTE)], home.environment)
    copied = home.run("copy", "embedded", "--from", "2026-11-21T00:00Z", "--to", "2026-11-21T23:30Z")
    assert (copied.returncode, "140 polls" in copied.stderr) == (0, True), copied.stderr
    assert set(deployed.store.readings("hall", start + 60 * MINUTE, end)["first_temperature"]) == {25.0}
    assert plan_range(deployed, None, None, force=False) == Plan(wanted=[DAY])
    observed, *_ = build(deployed)
    assert set(observed["value"]) == {20.0, 25.0}
    assert plan_range(deployed, None, None, force=False) == Plan(current=[DAY])
    deployed.store.close()


def test_days_stay_current_and_the_state_directory_is_the_new_stores(tmp_path: Path, influxdb: InfluxServer) -> None:
    before = deployment(tmp_path, start=BEFORE, now=datetime(2026, 11, 22, 12, tzinfo=UTC))
    seed(before, (BEFORE, DAY))
    for day in (BEFORE, DAY):
        build(before, day)
    environment = replace(before.environment, influxdb=influxdb.connection())
    list(move_readings(between_embedded_and_influxdb(environment, to_embedded=False)))
    after = Deployment(environment, before.settings, now=before.now)
    assert plan_range(after, None, None, force=False) == Plan(current=[BEFORE, DAY])
    environment.state.check_store(environment.store)
    with pytest.raises(SettingsError, match="belongs to InfluxDB"):
        before.environment.state.check_store(before.environment.store)
    for deployed in (before, after):
        deployed.store.close()


def test_there_and_back(home: Moved) -> None:
    home.write(a_day_of_polls())
    home.embedded.state.remember_store(home.embedded.store)
    with closing(Outbox(home.environment.state.outbox)) as box:
        box.add([poll(window()[1])])
    there = home.run("copy")
    assert (there.returncode, there.stdout) == (0, ""), there.stderr
    assert "144 polls of 2 days (UTC) copied to InfluxDB at" in there.stderr
    assert f"{home.environment.state} belongs to InfluxDB at" in there.stderr
    assert "1 polls wait in the outbox; the next collector delivers them there" in there.stderr
    assert "\r" not in there.stderr
    assert "\x1b" not in there.stderr
    again = home.run("copy")
    assert (again.returncode, "already" in again.stderr) == (0, True), again.stderr
    home.write([poll(window()[1])], home.environment)
    home.environment.state.readings.unlink()
    back = home.run("copy", "embedded")
    assert back.returncode == 0, back.stderr
    assert "belongs to the embedded store from now on: run everything without INFLUXDB_V2_*" in back.stderr
    assert home.polls(home.embedded) == 145
    home.embedded.state.check_store(home.embedded.store)


@pytest.mark.slow
def test_a_killed_move_is_finished_by_the_next(home: Moved) -> None:
    start = window()[0]
    polls = [poll(start + n * MINUTE, interval_ms=MINUTE, duration_ms=float(n % 97)) for n in range(40 * 1440)]
    home.write(polls)
    home.embedded.state.remember_store(home.embedded.store)
    process = subprocess.Popen(
        [sys.executable, "-m", "air_pipeline", "copy"],
        env=home.variables,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    wait_for(lambda: home.polls(home.environment), "the first polls of the copy")
    os.kill(process.pid, signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    assert 0 < home.polls(home.environment) < len(polls)
    home.embedded.state.check_store(home.embedded.store)
    rest = home.run("copy")
    assert rest.returncode == 0, rest.stderr
    [written] = re.findall(r"(\d+) polls of 41 days", rest.stderr)
    assert 0 < int(written) < len(polls)
    assert home.polls(home.environment) == len(polls)
    home.environment.state.check_store(home.environment.store)


@pytest.fixture
def collecting(home: Moved) -> Iterator[CollectorLock]:
    home.write(a_day_of_polls())
    home.embedded.state.remember_store(home.embedded.store)
    with CollectorLock(home.environment.state) as lock:
        yield lock


def test_beside_a_collector_everything_is_copied_and_nothing_changed_over(
    home: Moved, collecting: CollectorLock
) -> None:
    move = between_embedded_and_influxdb(home.environment, to_embedded=False)
    with pytest.raises(MoveUnfinished, match=f"process {os.getpid()} still collects into the old one"):
        list(move_readings(move))
    assert home.polls(home.environment) == 144
    home.embedded.state.check_store(home.embedded.store)
    collecting.release()
    home.write([poll(window()[0] + MINUTE)])
    assert [day.polls for day in move_readings(move)] == [7, 0]
    assert home.polls(home.environment) == 145
    home.environment.state.check_store(home.environment.store)


def test_no_collector_begins_while_the_rest_is_copied(home: Moved) -> None:
    home.write(a_day_of_polls())
    copying = move_readings(between_embedded_and_influxdb(home.environment, to_embedded=False))
    next(copying)
    ran = Installation(home.folder).run("collect")
    assert (ran.returncode, "already collects into" in ran.stderr) == (1, True), ran.stderr
    list(copying)
    home.environment.state.check_store(home.environment.store)


def test_a_part_is_copied_beside_a_collector_and_changes_nothing_over(home: Moved, collecting: CollectorLock) -> None:
    ran = home.run("copy", "--from", "2026-11-21T06:00", "--to", "2026-11-21T12:00")
    assert ran.returncode == 0, ran.stderr
    assert home.polls(home.environment) == 36
    assert home.environment.state.store == home.embedded.store
    start = window()[0]
    move = between_embedded_and_influxdb(home.environment, to_embedded=False)
    assert sum(day.polls for day in copy_part(move, start, start + 60 * MINUTE)) == 6


def test_a_part_that_is_none_is_refused(home: Moved) -> None:
    ran = home.run("copy", "--from", "2026-11-22", "--to", "2026-11-21")
    assert (ran.returncode, ran.stderr.count("\n")) == (2, 1), ran.stderr


def test_a_state_directory_of_a_third_store_is_refused(home: Moved, influxdb: InfluxServer) -> None:
    home.write(a_day_of_polls())
    there = replace(home.environment, influxdb=influxdb.connection())
    there.state.remember_store(there.store)
    with pytest.raises(SettingsError, match="and not to the embedded store; copy from there"):
        list(move_readings(between_embedded_and_influxdb(home.environment, to_embedded=False)))


def test_an_empty_store_is_no_origin(home: Moved) -> None:
    for to_embedded in (False, True):
        with pytest.raises(CopyError, match="holds no readings: do AIR_PIPELINE_STATE and INFLUXDB_V2_"):
            list(move_readings(between_embedded_and_influxdb(home.environment, to_embedded=to_embedded)))
    assert home.environment.state.store == ""


def test_a_wrong_token_a_missing_bucket_and_a_server_that_is_away_are_told(home: Moved, influxdb: InfluxServer) -> None:
    home.write(a_day_of_polls())
    assert home.environment.influxdb is not None
    narrow = influxdb.make_token(home.environment.influxdb.bucket, "read", "write")
    for change, error, said in (
        ({"token": "wrong"}, StoreRefused, "INFLUXDB_V2_TOKEN"),
        ({"bucket": "nowhere", "token": narrow}, StoreRefused, "nowhere"),
        ({"url": "http://127.0.0.1:1"}, StoreUnavailable, "127.0.0.1:1"),
    ):
        environment = replace(home.environment, influxdb=replace(home.environment.influxdb, **change))
        with pytest.raises(error, match=said):
            list(move_readings(between_embedded_and_influxdb(environment, to_embedded=False)))
    assert home.environment.state.store == ""
