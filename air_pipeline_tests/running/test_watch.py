"""What `up` says while it runs, and what it leaves behind when it is killed."""

import time
from collections.abc import Callable
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest

from air_pipeline.collection.lease import CollectorLock
from air_pipeline.collection.outbox import Outbox
from air_pipeline.devices.polls import Outcome, Poll
from air_pipeline.in_force import load_settings
from air_pipeline.running import watch as watching
from air_pipeline.running.sockets import make_sockets, remove_sockets
from air_pipeline.running.watch import Noticed, Watch, changes
from air_pipeline.settings.marks import marks_file
from air_pipeline.state import StateDirectory
from air_pipeline.storage.opening import open_store
from air_pipeline.storage.store import Told
from air_pipeline_tests.running_pipeline import Installation, dead_port, today
from air_pipeline_tests.waiting import WITHIN_S

MARK = "- {device: hall, from: 2026-11-21, to: 2026-11-22, verdict: bad, why: moved}\n"
VALID = "timezone: Europe/Warsaw\nstart: {}\ndevices:\n  - {{id: attic, url: http://127.0.0.1:9/}}\n"


@pytest.fixture
def installed(tmp_path: Path) -> Installation:
    installed = Installation(tmp_path)
    installed.config.write_text(VALID.format(today()), encoding="utf-8")
    load_settings(installed.environment.config, installed.environment.state)
    return installed


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every look is due, and comes to its end, however slow the machine is."""
    monkeypatch.setattr(watching, "LOOK_EVERY_S", 0.0)
    monkeypatch.setattr(watching, "STORE_WITHIN_S", WITHIN_S)


def test_only_changes_are_said() -> None:
    well, wrong, away = Noticed(), Noticed(mistake="devices.yaml:3: oh"), Noticed(store_error="it is away")
    assert list(changes(well, well)) == list(changes(wrong, wrong)) == list(changes(away, away)) == []
    assert list(changes(well, wrong)) == ["going on with the last valid configuration:\ndevices.yaml:3: oh"]
    assert list(changes(wrong, well)) == ["the configuration is valid again, and in force"]
    [said] = changes(well, away)
    assert "it is away" in said
    assert list(changes(away, Noticed(store_error="it is still away"))) == []
    assert list(changes(away, well)) == ["the store takes readings again"]


def test_a_mistake_that_is_saved_is_said_once_and_so_is_its_end(installed: Installation, at_once: None) -> None:
    watch = Watch(installed.environment)
    assert watch.news() == []
    installed.config.write_text("timezone: Europe/Warsaw\n", encoding="utf-8")
    [said] = watch.news()
    assert "devices is missing" in said
    assert watch.news() == []
    installed.config.write_text(VALID.format(today()), encoding="utf-8")
    assert watch.news() == ["the configuration is valid again, and in force"]


def test_a_start_in_the_future_is_said(installed: Installation) -> None:
    installed.config.write_text(VALID.format(today() + timedelta(days=9)), encoding="utf-8")
    watch = Watch(installed.environment)
    [said] = watch.news()
    assert "in the future" in said
    assert watch.news() == []


def test_a_store_that_is_away_at_the_start_is_said(installed: Installation, at_once: None) -> None:
    url = f"http://127.0.0.1:{dead_port()}"
    names = ("INFLUXDB_V2_URL", "INFLUXDB_V2_TOKEN", "INFLUXDB_V2_ORG", "INFLUXDB_V2_BUCKET")
    installed.influxdb.update(dict(zip(names, (url, "secret", "home", "air"), strict=True)))
    watch = Watch(installed.environment)
    [said] = watch.news()
    assert url in said
    assert "wait in the outbox" in said
    assert watch.news() == []


@pytest.mark.parametrize("is_old", [True, False])
@pytest.mark.parametrize("clock_s", [0.0, -3600.0])
def test_only_what_the_collector_meets_while_up_runs_is_said(
    installed: Installation, at_once: None, clock_s: float, *, is_old: bool
) -> None:
    """Whatever the clock, which may be set back meanwhile."""
    with closing(Outbox(installed.environment.state.outbox)) as box:
        if is_old:
            box.attempted(failures=1, retry_at=time.time(), error="on holiday")
        watch = Watch(installed.environment)
        assert watch.news() == []
        if not is_old:
            box.attempted(failures=1, retry_at=time.time() + clock_s, error="on holiday")
        said = watch.news()
        assert bool(said) is not is_old
        box.attempted(failures=0, retry_at=0.0, error="")
    assert watch.news() == (["the store takes readings again"] if said else [])


def test_a_device_that_falls_silent_is_named_and_so_is_its_return(installed: Installation, at_once: None) -> None:
    def store(ago_s: float, outcome: Outcome) -> None:
        values = {"dht22_temperature": 20.0} if outcome.has_reading else {}
        with closing(open_store(None, installed.environment.state)) as into:
            into.write([Poll("attic", round((time.time() - ago_s) * 1000), outcome, 40.0, 10.0, values=values)])

    watch = Watch(installed.environment)
    assert watch.news() == []
    store(60, Outcome.UNREACHABLE)
    assert watch.news() == []  # nobody collects, and that is not the device's fault
    with CollectorLock(installed.environment.state):
        assert watch.news() == ["no readings from attic (unreachable); what to do: air-pipeline doctor"]
        assert watch.news() == []
        store(30, Outcome.OK)
        assert watch.news() == ["readings again from attic"]


def at_edge_1(installed: Installation) -> Callable[..., None]:
    """Gives a device to a collector elsewhere, and a function that tells of it through the store, so many s ago."""
    elsewhere = "  - {id: hall, url: http://127.0.0.1:9/hall, collector: edge-1}\n"
    installed.config.write_text(VALID.format(today()) + elsewhere, encoding="utf-8")

    def tell(ago_s: float, **fields: float | str) -> None:
        with closing(open_store(None, installed.environment.state)) as into:
            into.tell(Told("edge-1", round((time.time() - ago_s) * 1000), {"since_ms": 1.0, "pending": 0.0, **fields}))

    return tell


def test_a_collector_elsewhere_is_named_when_it_falls_silent_and_when_its_polls_wait(
    installed: Installation, at_once: None
) -> None:
    tell = at_edge_1(installed)
    tell(40)
    watch = Watch(installed.environment)
    with CollectorLock(installed.environment.state):
        watch.news()  # that no device gave readings yet
        waits_since = round((time.time() - 600) * 1000)
        tell(30, pending=7.0, oldest_ms=float(waits_since), failures=3.0, error="the bucket is not there")
        [said] = watch.news()
        assert said.startswith("7 polls wait at edge-1, the oldest since ")
        assert said.endswith(": the bucket is not there")
        assert watch.news() == []
        tell(20)
        assert watch.news() == ["what edge-1 polled reaches the store again"]


def test_a_collector_elsewhere_of_which_nothing_is_heard_is_named(installed: Installation, at_once: None) -> None:
    tell = at_edge_1(installed)
    tell(900)
    watch = Watch(installed.environment)
    with CollectorLock(installed.environment.state):
        [said] = watch.news()
        assert "edge-1, which runs elsewhere, has told nothing since " in said
        assert "so nobody polls hall" in said
        assert watch.news() == []
        tell(1)
        assert "word again of edge-1" in watch.news()


def test_of_many_silent_devices_some_are_named() -> None:
    [said] = changes(Noticed(), Noticed(silent={f"d{number}": "timeout" for number in range(9)}))
    assert said.startswith("no readings from d0 (timeout), d1 (timeout), ")
    assert " and 4 more;" in said


def test_sockets_of_a_killed_up_are_removed_by_the_next(tmp_path: Path) -> None:
    killed = make_sockets(StateDirectory(tmp_path))
    (killed / "workspace.yaml").write_text("left")
    here = make_sockets(StateDirectory(tmp_path))
    assert here != killed
    assert here.is_dir()
    assert not killed.exists()
    remove_sockets(StateDirectory(tmp_path))
    assert not here.exists()
    assert [path.name for path in tmp_path.iterdir()] == ["version"]
    remove_sockets(StateDirectory(tmp_path))


def test_nothing_else_is_removed(tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    precious.mkdir()
    (tmp_path / "sockets").write_text(str(precious))
    remove_sockets(StateDirectory(tmp_path))
    assert precious.is_dir()


def test_a_mistake_in_marks_is_said_and_marks_have_nothing_loaded_again(installed: Installation, at_once: None) -> None:
    watch = Watch(installed.environment)
    marks = marks_file(installed.config)
    marks.write_text(MARK, encoding="utf-8")
    assert (watch.news(), watch.settings_changed()) == ([], False)
    marks.write_text(MARK.replace("verdict", "verdikt"), encoding="utf-8")
    [said] = watch.news()
    assert f"{marks}:1: [1].verdikt: unknown key; did you mean verdict?" in said
    marks.write_text(MARK, encoding="utf-8")
    assert watch.news() == ["the configuration is valid again, and in force"]
