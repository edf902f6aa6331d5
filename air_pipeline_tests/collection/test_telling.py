"""A collector tells of itself through the store, so that another machine sees what this one does."""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from air_pipeline.collection.collector_state import CollectorState, told_fields, told_state
from air_pipeline.collection.outbox import Outbox
from air_pipeline.collection.recorder import Recording
from air_pipeline.collection.setting_aside import Aside
from air_pipeline.collection.share import SILENT_AFTER_S, Share
from air_pipeline.collection.telling import TELL_EVERY_S, Teller
from air_pipeline.devices.simulator import Simulator
from air_pipeline.health import Finding, Level
from air_pipeline.health.collecting import (
    collector_running,
    documents_known,
    outbox_draining,
    outbox_whole,
    polls_recorded,
    quarantine_empty,
)
from air_pipeline.health.seen import seen_from_outside
from air_pipeline.settings import MAIN, Settings
from air_pipeline.state import StateDirectory
from air_pipeline.storage.opening import open_store
from air_pipeline.storage.sqlite import SqliteStore
from air_pipeline.storage.store import StoreUnavailable, Told
from air_pipeline_tests.collection.collector_process import running_collector, write_config
from air_pipeline_tests.collection.held_clock import HeldClock
from air_pipeline_tests.days.deployments import DAY, poll
from air_pipeline_tests.influxdb_server import InfluxServer
from air_pipeline_tests.running_pipeline import Installation, dead_port, now_ms
from air_pipeline_tests.waiting import wait_for

ALL_CHECKS = (collector_running, outbox_draining, polls_recorded, quarantine_empty, outbox_whole, documents_known)


class Machine(Installation):
    """One of several with the same InfluxDB: each has its own state directory."""

    def __init__(self, folder: Path, influxdb: InfluxServer, bucket: str) -> None:
        folder.mkdir()
        connection = influxdb.connection(bucket)
        names = ("INFLUXDB_V2_URL", "INFLUXDB_V2_TOKEN", "INFLUXDB_V2_ORG", "INFLUXDB_V2_BUCKET")
        values = (connection.url, connection.token, connection.org, connection.bucket)
        super().__init__(folder, dict(zip(names, values, strict=True)))

    def sees(self, check) -> list[Finding]:
        return list(check.findings(seen_from_outside(self.variables)))

    def tell(self, state: CollectorState, *, ago_s: float) -> None:
        """As a collector would that looked at this so long ago."""
        with closing(open_store(self.environment.influxdb, self.environment.state)) as store:
            store.tell(Told(MAIN, now_ms() - round(ago_s * 1000), told_fields(state)))


@pytest.fixture
def machines(tmp_path: Path, influxdb: InfluxServer) -> Iterator[tuple[Machine, Machine]]:
    """The one near the devices, and the other with Dagster."""
    bucket = influxdb.make_bucket()
    edge, here = (Machine(tmp_path / name, influxdb, bucket) for name in ("edge", "here"))
    with Simulator(["a", "b"]) as simulator:
        write_config(edge.config, simulator, "a", "b")
        here.config.write_text(f"collector: external\n{edge.config.read_text()}")
        yield edge, here


@pytest.mark.influxdb
def test_a_collector_elsewhere_is_seen_as_if_it_ran_here(
    machines: tuple[Machine, Machine], monkeypatch: pytest.MonkeyPatch
) -> None:
    edge, here = machines
    for name, value in edge.influxdb.items():
        monkeypatch.setenv(name, value)
    for check in ALL_CHECKS:
        [one] = here.sees(check)
        assert one.level is Level.UNKNOWN
        assert "none ever ran here or told of itself through the store" in one.text
    with running_collector(edge.environment) as process:
        wait_for(lambda: here.sees(collector_running)[0].level is Level.OK, "the collector to tell of itself")
        [one] = here.sees(collector_running)
        assert one.text.startswith(f"process {process.pid}, since ")
        assert f", elsewhere, as {MAIN} told at " in one.text
        for check in ALL_CHECKS:
            assert {found.level for found in here.sees(check)} == {Level.OK}
        polled = "last poll of the running collector"
        wait_for(lambda: here.run("poll").stdout.count(polled) == 2, "both devices to have been polled")
        assert "✓ collector" in here.run("doctor").stdout


@pytest.mark.influxdb
def test_what_it_told_is_what_is_found(machines: tuple[Machine, Machine]) -> None:
    """The same findings as beside it, with the same words."""
    _, here = machines
    hour_ago = now_ms() - 3_600_000
    box = replace(CollectorState().outbox, pending=12, oldest=hour_ago, quarantined=3, failures=7, error="it is away")
    state = CollectorState(
        outbox=box,
        recording=Recording(refused="no space left", waiting=5),
        reasons=("field type conflict",),
        notes={"a": "sends something new"},
        asides=(Aside("outbox.damaged-1.sqlite", 9, 40, is_done=True),),
    )
    here.tell(state, ago_s=1)
    said = {check.name: here.sees(check) for check in ALL_CHECKS}
    assert [one.level for one in said["outbox_draining"]] == [Level.FAILURE]
    assert said["outbox_draining"][0].text.startswith("12 polls wait, the oldest since ")
    assert said["outbox_draining"][0].text.endswith(": it is away")
    assert said["polls_recorded"][0].text == "5 polls wait in memory, as the disk refuses them: no space left"
    assert "3 polls" in said["quarantine_empty"][0].text
    assert said["quarantine_empty"][0].text.endswith("field type conflict")
    assert "outbox.damaged-1.sqlite, of which 40 polls were saved" in said["outbox_whole"][0].text
    assert [(one.subject, one.level) for one in said["documents_known"]] == [("a", Level.WARNING), ("b", Level.OK)]


@pytest.mark.influxdb
@pytest.mark.parametrize("ago_s", [SILENT_AFTER_S + 10, -86_400], ids=["long ago", "by a clock that was ahead"])
def test_one_that_has_told_nothing_for_long_is_named_with_the_time(
    machines: tuple[Machine, Machine], ago_s: float
) -> None:
    _, here = machines
    here.tell(CollectorState(), ago_s=ago_s)
    [one] = here.sees(collector_running)
    assert one.level is Level.FAILURE
    assert one.text.startswith(f"{MAIN}, which runs elsewhere, has told nothing since 20")
    assert "air-pipeline doctor" in one.remedy


@pytest.mark.influxdb
def test_a_store_that_is_away_is_why_nothing_is_known(machines: tuple[Machine, Machine]) -> None:
    _, here = machines
    here.influxdb["INFLUXDB_V2_URL"] = f"http://127.0.0.1:{dead_port()}"
    for check in ALL_CHECKS:
        [one] = here.sees(check)
        assert one.level is Level.UNKNOWN
        assert one.text.startswith("the store does not say what the collector elsewhere tells of itself: ")


@pytest.mark.influxdb
def test_polls_that_nobody_delivers_here_are_told_before_those_elsewhere(machines: tuple[Machine, Machine]) -> None:
    _, here = machines
    with closing(Outbox(here.environment.state.outbox)) as box:
        box.add([poll(now_ms() - 3_600_000, "a")])
    here.tell(CollectorState(), ago_s=1)
    assert here.sees(collector_running)[0].level is Level.OK
    [one] = here.sees(outbox_draining)
    assert one.level is Level.FAILURE
    assert one.text.startswith("1 polls wait")


class Store(SqliteStore):
    """The embedded store, and what it was told."""

    away = False

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.told: list[Told] = []

    def tell(self, told: Told) -> None:
        if self.away:
            raise StoreUnavailable("away")
        self.told.append(told)
        super().tell(told)


@pytest.fixture
def telling(tmp_path: Path) -> Iterator[tuple[Teller, Store, Outbox, HeldClock]]:
    state, clock = StateDirectory(tmp_path), HeldClock()
    with closing(Store(state.readings)) as store, closing(Outbox(state.outbox)) as outbox:
        share = Share(MAIN, state, {}, is_alone=True)
        share.take(Settings("Europe/Warsaw", DAY, ()))
        yield Teller(state, store, outbox, share, clock), store, outbox, clock


def test_it_tells_every_half_minute_and_at_once_what_somebody_waits_for(telling) -> None:
    teller, store, outbox, clock = telling
    for _ in range(61):
        teller.step()
        clock.advance(1_000)
    assert [told.at - store.told[0].at for told in store.told] == [0, TELL_EVERY_S * 1000, 2 * TELL_EVERY_S * 1000]
    outbox.add([poll(clock.ms, "hall")])
    teller.step()
    assert len(store.told) == 3  # that polls wait is nothing new
    outbox.attempted(failures=1, retry_at=0.0, error="the token is refused")
    clock.advance(5_000)
    teller.step()
    assert store.told[-1].fields["error"] == "the token is refused"
    assert store.told[-1].fields["pending"] == 1.0


def test_devices_that_it_has_let_go_are_told_at_once(tmp_path: Path) -> None:
    state, clock = StateDirectory(tmp_path), HeldClock()
    with closing(Store(state.readings)) as store, closing(Outbox(state.outbox)) as outbox:
        share = Share(MAIN, state, {}, is_alone=True)
        share.take(Settings("Europe/Warsaw", DAY, ()))
        teller = Teller(state, store, outbox, share, clock)
        teller.step()
        assert share.changed()
        assert [share.settle(is_done=done) for done in (False, True, True)] == [False, True, False]
        clock.advance(1)
        teller.step()
        assert [told.fields["shares"] for told in store.told] == ["", share.told]
        assert share.told


def test_marks_go_through_the_store_and_wait_while_it_is_away(telling, monkeypatch) -> None:
    teller, store, outbox, clock = telling
    outbox.mark_late([DAY])

    def away(*_: object) -> None:
        raise StoreUnavailable("away")

    with monkeypatch.context() as patch:
        patch.setattr(store, "mark_late", away)
        teller.step()
        assert list(outbox.late_marks()) == [DAY]
    clock.advance(5_000)
    teller.step()
    assert [mark.day for mark in store.late_marks({})] == [DAY]
    assert outbox.late_marks() == {}


def test_what_cannot_be_told_is_said_once_and_told_as_soon_as_it_can(telling, caplog) -> None:
    teller, store, _, clock = telling
    store.away = True
    for _ in range(10):
        teller.step()
        clock.advance(10_000)
    assert [record.getMessage() for record in caplog.records] == [
        "what this collector tells of itself cannot be stored now: away"
    ]
    store.away = False
    teller.step()
    assert len(store.told) == 1


def test_a_collector_of_a_thousand_chatty_devices_fits_into_a_field(tmp_path: Path) -> None:
    state = CollectorState(notes={f"device-{n:04}": "sends ☃ that is not known " * 20 for n in range(1_000)})
    fields = told_fields(state)
    assert max(len(str(value).encode()) for value in fields.values()) < 64 * 1024
    with closing(SqliteStore(tmp_path / "readings.sqlite")) as store:
        store.tell(Told(MAIN, now_ms(), fields))
        known = told_state(store.last_told()[MAIN]).notes
    assert known
    assert all(state.notes[device] == note for device, note in known.items())


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"pending": "many", "since_ms": "long"},
        {"waits": "[1]", "waits_since_ms": "long", "shares": 3.0, "rival": 4.0},
        {"notes": "[1, 2]", "reasons": "{", "recording": '{"grown": 1}', "asides": '[{"file": "x", "grown": 1}, 3]'},
    ],
)
def test_what_another_version_tells_otherwise_does_no_harm(tmp_path: Path, fields: dict[str, float | str]) -> None:
    with closing(SqliteStore(tmp_path / "readings.sqlite")) as store:
        store.tell(Told(MAIN, now_ms(), fields))
        found = told_state(store.last_told()[MAIN])
    assert found.running is not None
    assert (found.outbox.pending, found.notes, found.asides, found.recording) == (0, {}, (), Recording())


def test_two_processes_of_one_name_notice_each_other_and_a_former_one_is_none(telling, tmp_path: Path) -> None:
    """The words of one that ended before this one began are of no rival, however its clock went."""
    _, store, outbox, clock = telling
    share = Share("edge-1", StateDirectory(tmp_path / "edge-1"), {}, is_alone=True)
    share.take(Settings("Europe/Warsaw", DAY, ()))
    teller = Teller(StateDirectory(tmp_path), store, outbox, share, clock)

    def tells(pid: float, token: str) -> None:
        fields = {"pid": pid, "since_ms": float(clock.ms), "host": "pi", "token": token}
        store.tell(Told("edge-1", clock.ms, fields))

    tells(7.0, "of a former process")
    for _ in range(2):
        teller.step()
        assert share.rival == ""
        clock.advance(int(TELL_EVERY_S * 1000))
    tells(8.0, "of another process")
    clock.advance(1_000)
    teller.step()
    assert share.rival.startswith("process 8 on pi, since ")
    for _ in range(4):  # it says nothing any more
        clock.advance(int(TELL_EVERY_S * 1000))
        teller.step()
    assert share.rival == ""
