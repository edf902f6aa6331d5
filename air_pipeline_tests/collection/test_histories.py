"""A device gets another id, or what it said is deleted: in both stores, in what waits, in the days built from it."""

import os
import signal
from contextlib import closing
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from air_pipeline.collection.lease import CollectorLock
from air_pipeline.collection.outbox import Outbox
from air_pipeline.days.range import Plan, plan_range
from air_pipeline.deployment import Deployment
from air_pipeline.notifying.deciding import Watched
from air_pipeline.notifying.telling import State, read_state
from air_pipeline.processing.local_time import day_window, epoch_ms
from air_pipeline.settings.file import read_settings
from air_pipeline.storage.day_files import day_file
from air_pipeline.storage.opening import open_store
from air_pipeline.storage.sqlite import SqliteStore
from air_pipeline.storage.store import Summary
from air_pipeline.storage.written_over import written_over
from air_pipeline_tests.cli.shell import Shell
from air_pipeline_tests.days.deployments import build
from air_pipeline_tests.running_pipeline import ZONE, dead_port, today
from air_pipeline_tests.storage.model import poll

ALL_TIME = (-(2**62), 2**62)
DAYS = [today() - timedelta(days=number) for number in (4, 3)]
TEN_MINUTES = 600_000
ZONE_INFO = ZoneInfo(ZONE)


class History(Shell):
    """Two devices with two days, which are built; three polls of each wait or were set aside, and one is told of."""

    def fill(self) -> None:
        self.write("attic", "cellar")
        self.seed(0, DAYS, TEN_MINUTES)
        for day in DAYS:
            self.build(day)
        state = self.environment.state
        state.remember_store(self.environment.store)
        with closing(Outbox(state.outbox)) as box:
            for device in ("attic", "cellar"):
                box.add([poll(device, slot) for slot in self.slots(1)])
                box.quarantine(box.pending(10)[-1:], "no")
                box.begin({device: self.slots(1)[0]})
            box.begin({"loft": 5})
        watched = Watched(datetime.now(UTC), told=True, well=None)
        text = State({("devices_reporting", "attic"): watched, ("outbox_draining", ""): watched}).to_text()
        state.write(state.notified, text)

    def write(self, *devices: str) -> None:
        lines = "".join(f"  - id: {name}\n    url: http://127.0.0.1:{dead_port()}/{name}\n" for name in devices)
        self.config.write_text(f"timezone: Europe/Warsaw\nstart: {DAYS[0]}\ninterval: 10m\ndevices:\n{lines}")

    @staticmethod
    def slots(day: int) -> list[int]:
        """Three slots of one of the days that no seeded poll is in."""
        start = epoch_ms(day_window(DAYS[day], ZONE_INFO)[0])
        return [start + 1_000 * number for number in (1, 2, 3)]

    def deployment(self) -> Deployment:
        return Deployment(self.environment, read_settings(self.config))

    def build(self, day: date) -> None:
        deployment = self.deployment()
        with closing(deployment.store):
            build(deployment, day)

    def plan(self) -> Plan:
        deployment = self.deployment()
        with closing(deployment.store):
            return plan_range(deployment, str(DAYS[0]), str(DAYS[-1]), force=False)

    def held(self) -> dict[str, Summary]:
        with self.open_store() as store:
            return store.summaries(*ALL_TIME)

    def open_store(self) -> Any:
        return closing(open_store(self.environment.influxdb, self.environment.state))

    def box(self) -> dict[str, Any]:
        """What is in the outbox, by device."""
        with closing(Outbox(self.environment.state.outbox)) as box:
            waiting = [one.poll.device for one in box.pending(100)]
            aside = [one.poll.device for one in box.quarantined()]
            found = {"waiting": sorted(waiting), "aside": sorted(aside)}
            found |= {"last": box.last_slots()}
        with self.open_store() as store:
            return found | {"late": {mark.day for mark in written_over(store)}}

    def devices(self, day: date) -> list[str]:
        return sorted(day_file(self.environment.data, "observations", day).devices())


@pytest.fixture(params=["embedded", pytest.param("influxdb", marks=pytest.mark.influxdb)])
def home(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> History:
    """On each of the two stores."""
    home = History(tmp_path, monkeypatch, capsys)
    if request.param == "influxdb":
        connection = request.getfixturevalue("influxdb").connection()
        names = ("INFLUXDB_V2_URL", "INFLUXDB_V2_TOKEN", "INFLUXDB_V2_ORG", "INFLUXDB_V2_BUCKET")
        values = (connection.url, connection.token, connection.org, connection.bucket)
        home.influxdb.update(zip(names, values, strict=True))
    home.fill()
    return home


def test_a_device_gets_another_id_everywhere_and_its_days_are_built_again(home: History) -> None:
    held, box = home.held(), home.box()
    refused = home("rename", "attic", "loft", "--yes")
    assert (refused.status, f"{home.config}:5 still says id: attic; change it to id: loft" in refused.err) == (1, True)
    home.write("loft", "cellar")
    planned = home("rename", "attic", "loft")
    assert (planned.status, "nothing was changed; to do it, add --yes" in planned.out) == (0, True)
    assert f"{held['attic'].polls} polls with {held['attic'].values} values of attic" in planned.out
    assert "2 polls that wait in the outbox, and 1 that were set aside" in planned.out
    assert (home.held(), home.box()) == (held, box)

    renamed = home("rename", "attic", "loft", "--yes")
    assert renamed.status == 0, renamed
    assert home.held() == {"loft": held["attic"], "cellar": held["cellar"]}
    with home.open_store() as store:
        assert set(store.latest()) == {"loft", "cellar"}
    now = home.box()
    assert now["waiting"] == ["cellar", "cellar", "loft", "loft"]
    assert now["aside"] == ["cellar", "loft"]
    assert now["last"] == {"loft": home.slots(1)[0], "cellar": home.slots(1)[0]}
    assert now["late"] >= set(DAYS)
    assert set(read_state(home.environment.state).watched) == {("devices_reporting", "loft"), ("outbox_draining", "")}
    assert (home.plan().wanted, home.plan().shrunk) == (DAYS, {})
    for day in DAYS:
        home.build(day)
        assert home.devices(day) == ["cellar", "loft"]
    assert home.plan().current == DAYS


def test_what_a_device_said_is_deleted_and_its_days_are_built_without_it(home: History) -> None:
    held = home.held()
    refused = home("delete", "attic", "--yes")
    assert (refused.status, f"{home.config}:5 says id: attic: take the device out" in refused.err) == (1, True)
    home.write("cellar")
    assert set(home.plan().shrunk) == set(DAYS)
    planned = home("delete", "attic")
    assert f"{held['attic'].polls} polls with {held['attic'].values} values of attic" in planned.out
    assert home.held() == held

    deleted = home("delete", "attic", "--yes")
    assert deleted.status == 0, deleted
    assert "2 built days are built again" in deleted.out
    assert home.held() == {"cellar": held["cellar"]}
    now = home.box()
    assert (now["waiting"], now["aside"], "attic" in now["last"]) == (["cellar", "cellar"], ["cellar"], False)
    assert now["late"] >= set(DAYS)
    assert set(read_state(home.environment.state).watched) == {("outbox_draining", "")}
    assert (home.plan().wanted, home.plan().shrunk) == (DAYS, {})
    for day in DAYS:
        home.build(day)
        assert home.devices(day) == ["cellar"]
    assert home.plan().current == DAYS


def test_what_else_is_lost_is_still_noticed(home: History) -> None:
    """The guard of built days is lifted for just the polls that were deleted."""
    home.write("cellar")
    assert home("delete", "attic", "--yes").status == 0
    noon = epoch_ms(datetime.combine(DAYS[1], datetime.min.time(), ZONE_INFO)) + 12 * 3_600_000
    with home.open_store() as store:
        store.delete("cellar", noon, noon + TEN_MINUTES)
    assert (home.plan().wanted, set(home.plan().shrunk)) == ([DAYS[0]], {DAYS[1]})


def test_a_part_is_deleted_to_the_millisecond(home: History) -> None:
    held, (start, end) = home.held(), (f"{DAYS[1]}T00:00", f"{DAYS[1]}T12:00")
    deleted = home("delete", "attic", "--from", start, "--to", end, "--yes")
    assert deleted.status == 0, deleted
    assert home.held()["cellar"] == held["cellar"]
    assert home.held()["attic"].polls == held["attic"].polls - 72
    with home.open_store() as store:
        noon = epoch_ms(datetime.combine(DAYS[1], datetime.min.time(), ZONE_INFO)) + 12 * 3_600_000
        assert list(store.polls("attic", noon - 2 * TEN_MINUTES, noon + TEN_MINUTES).index.astype("int64")) == [noon]
    now = home.box()
    assert (now["waiting"], now["aside"]) == (["cellar", "cellar"], ["cellar"])
    assert now["last"]["attic"] == home.slots(1)[0]
    assert home.plan().shrunk == {}
    assert DAYS[1] in home.plan().wanted


def test_two_devices_that_were_polled_in_one_slot_are_not_made_one(home: History) -> None:
    held = home.held()
    home.write("cellar")
    refused = home("rename", "attic", "cellar", "--yes")
    assert (refused.status, "has other polls than 'attic' in" in refused.err) == (1, True)
    assert "air-pipeline delete cellar --from " in refused.err
    assert home.held() == held
    assert home.box()["aside"] == ["attic", "cellar"]


@pytest.mark.parametrize("command", [("rename", "attic", "loft"), ("delete", "attic")])
def test_nothing_is_changed_while_a_collector_runs(home: History, command: tuple[str, ...]) -> None:
    with CollectorLock(home.environment.state):
        home.write("loft", "cellar")
        refused = home(*command, "--yes")
        assert refused.status == 1
        assert f"process {os.getpid()} collects into {home.environment.state}: stop it first" in refused.err


@pytest.mark.parametrize("command", [("rename", "roof", "attic"), ("delete", "roof")])
def test_a_device_that_nobody_knows_is_told(home: History, command: tuple[str, ...]) -> None:
    refused = home(*command, "--yes")
    assert (refused.status, "nothing is known of 'roof'" in refused.err) == (1, True)


@pytest.fixture
def embedded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> History:
    home = History(tmp_path, monkeypatch, capsys)
    home.fill()
    return home


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize(
    ("command", "moment"),
    [(("rename", "attic", "loft"), "write"), (("rename", "attic", "loft"), "delete"), (("delete", "attic"), "delete")],
)
def test_what_was_killed_is_finished_by_a_new_start(
    embedded: History, monkeypatch: pytest.MonkeyPatch, command: tuple[str, ...], moment: str, *, after: bool
) -> None:
    """Killed before or after the first day is written, or deleted, in the store."""
    held = embedded.held()
    embedded.write(*(["loft"] if command[0] == "rename" else []), "cellar")
    child = os.fork()
    if not child:
        real = getattr(SqliteStore, moment)

        def killed(*arguments: object) -> None:
            if after:
                real(*arguments)
            os.kill(os.getpid(), signal.SIGKILL)

        monkeypatch.setattr(SqliteStore, moment, killed)
        embedded(*command, "--yes")
        os._exit(0)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status)
    assert embedded.held()["cellar"] == held["cellar"]

    assert embedded(*command, "--yes").status == 0
    wanted = {"loft": held["attic"]} if command[0] == "rename" else {}
    assert embedded.held() == {"cellar": held["cellar"], **wanted}
    assert embedded.box()["late"] >= set(DAYS)
    assert (embedded.plan().wanted, embedded.plan().shrunk) == (DAYS, {})
