"""`air-pipeline doctor` on set-ups that are broken in one way each: one line names it, with what to do."""

import io
import json
import os
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass
from datetime import date, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.remote_origin import (
    RegisteredCodeLocationOrigin,
    RemoteInstigatorOrigin,
    RemoteRepositoryOrigin,
)
from dagster._core.scheduler.instigation import (
    InstigatorState,
    InstigatorStatus,
    InstigatorType,
    ScheduleInstigatorData,
    SensorInstigatorData,
)
from dagster._core.storage.tags import PARTITION_NAME_TAG
from dagster._daemon.types import DaemonHeartbeat

from air_pipeline.cli import display
from air_pipeline.cli import doctor as doctor_command
from air_pipeline.collection.clock import kernel_synchronized
from air_pipeline.collection.lease import CollectorLock, extend_lease
from air_pipeline.collection.outbox import Outbox
from air_pipeline.days.calendar import over_at
from air_pipeline.deployment import Deployment
from air_pipeline.devices.polls import Outcome, Poll
from air_pipeline.devices.simulator import Simulator
from air_pipeline.health import Check, Finding, Level, fine, probing
from air_pipeline.health.clock import of_clock, of_other_clock
from air_pipeline.health.days import days_built
from air_pipeline.health.seen import Seen, seen_from_outside
from air_pipeline.health.space import disk_space, of_space
from air_pipeline.running.up import only_one
from air_pipeline.settings.file import read_settings
from air_pipeline.state import load_settings
from air_pipeline.storage.opening import open_store
from air_pipeline_tests.cli.in_this_process import give_doctor_time
from air_pipeline_tests.cli.test_commands import INFLUXDB, Ran, Shell
from air_pipeline_tests.days.deployments import build
from air_pipeline_tests.devices.raw_server import answering, http
from air_pipeline_tests.environments import INFLUX
from air_pipeline_tests.influxdb_server import InfluxServer
from air_pipeline_tests.running_pipeline import Installation, dead_port, last_finished, today, write_devices
from air_pipeline_tests.waiting import WITHIN_S, wait_for

MARKS = {"✓": "ok", "!": "warning", "✗": "failure", "?": "unknown"}


@pytest.fixture(scope="module")
def dagster_storage(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty storage of Dagster, made once."""
    home = tmp_path_factory.mktemp("dagster")
    shutil.copy(Path(__file__).parents[2] / "dagster.yaml", home)
    with dg.DagsterInstance.from_config(str(home)):
        pass
    return home


class Patient(Shell):
    """A deployment whose devices answer; tests break it."""

    def __init__(self, shell: Shell, simulator: Simulator, storage: Path, opened: ExitStack) -> None:
        self.__dict__.update(shell.__dict__)
        self.simulator = simulator
        self.opened = opened
        self._storage = storage
        self.write()

    def write(self, start: date | None = None) -> None:
        write_devices(self.config, self.simulator, {"attic": "10s", "cellar": "10s"}, start or today())

    def replace(self, old: str, new: str) -> None:
        text = self.config.read_text(encoding="utf-8")
        assert old in text
        self.config.write_text(text.replace(old, new), encoding="utf-8")

    def address(self, url: str) -> None:
        """Another address of the attic's device."""
        self.replace(self.simulator.url("attic"), url)

    def answer(self, data: bytes) -> None:
        """Lets the attic's device answer with other bytes."""
        self.address(self.opened.enter_context(answering(data)).url)

    def collecting(self) -> None:
        """As if a collector ran."""
        self.opened.enter_context(CollectorLock(self.environment.state))

    def store(self, *polls: Poll) -> None:
        with closing(open_store(self.environment.influxdb, self.environment.state)) as store:
            store.write(polls)

    def build(self, day: date) -> None:
        deployment = Deployment(self.environment, read_settings(self.config))
        build(deployment, day)
        deployment.store.close()

    def dagster(self) -> dg.DagsterInstance:
        """Dagster's storage, with a daemon that lives."""
        home = self.environment.state.dagster
        if not home.exists():
            shutil.copytree(self._storage, home)
        instance = self.opened.enter_context(dg.DagsterInstance.from_config(str(home)))
        for kind in instance.get_required_daemon_types():
            instance.add_daemon_heartbeat(DaemonHeartbeat(time.time(), kind, "daemon", []))
        return instance

    def switch_off(self, name: str, kind: InstigatorType) -> None:
        repository = RemoteRepositoryOrigin(RegisteredCodeLocationOrigin("air_pipeline"), "__repository__")
        data = ScheduleInstigatorData("*/15 * * * *") if kind is InstigatorType.SCHEDULE else SensorInstigatorData()
        state = InstigatorState(RemoteInstigatorOrigin(repository, name), kind, InstigatorStatus.STOPPED, data)
        self.dagster().add_instigator_state(state)


@pytest.fixture
def patient(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], dagster_storage: Path
) -> Iterator[Patient]:
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    give_doctor_time(monkeypatch)
    for limit in (
        "seen.EXAMINED_WITHIN_S",
        "seen.STORE_WITHIN_S",
        "processes.UI_WITHIN_S",
        "days.COMPARE_WITHIN_S",
        "kept.COMPARE_WITHIN_S",
    ):
        monkeypatch.setattr(f"air_pipeline.health.{limit}", WITHIN_S)
    with Simulator(["attic", "cellar"]) as simulator, ExitStack() as opened:
        yield Patient(Shell(tmp_path, monkeypatch, capsys), simulator, dagster_storage, opened)


def poll_of(device: str, outcome: Outcome = Outcome.OK, *, age_s: float = 5.0, **more: object) -> Poll:
    at = int((time.time() - age_s) * 1000)
    values = {"dht22_temperature": 21.0} if outcome.has_reading else {}
    return Poll(device, at, outcome, 40.0, 10.0, **{"http_status": 200, "values": values, **more})  # type: ignore[arg-type]


def complaints(ran: Ran) -> list[tuple[str, str]]:
    """The level and text of each line that is not well, one line each."""
    assert "Traceback" not in ran.out + ran.err
    lines = [(MARKS[line[0]], line[2:]) for line in ran.out.splitlines()]
    return [line for line in lines if line[0] != "ok" and not line[1].startswith(("clock: whether", "up: does not"))]


@dataclass(frozen=True)
class Broken:
    """One way of being broken: what breaks it, the line that says so, what to do, the exit status."""

    name: str
    spoil: Callable[[Patient], object]
    subject: str
    level: str
    cause: str
    remedy: str
    status: int


def stuck(p: Patient) -> None:
    with closing(Outbox(p.environment.state.outbox)) as box:
        box.add([poll_of("attic", age_s=600)])
        box.attempted(failures=3, retry_at=time.time() + 30, error="the store is on holiday")


def damage(p: Patient, name: str) -> None:
    p.environment.state.path.mkdir()
    (p.environment.state.path / name).write_text("this is no SQLite file" * 99)


def set_aside(p: Patient) -> None:
    with closing(Outbox(p.environment.state.outbox)) as box:
        box.add([poll_of("attic")])
        [pending] = box.pending(1)
        box.quarantine([pending], "the field is of another type")


def shrunk(p: Patient) -> None:
    p.write(last_finished())
    p.seed(0, [last_finished()], 3_600_000)
    p.build(last_finished())
    p.environment.state.readings.unlink()


def failed_run(p: Patient) -> None:
    @dg.op
    def build() -> None:
        raise dg.Failure("2026-01-05 cannot be built, as the moon is full")

    @dg.job
    def build_day() -> None:
        build()

    day = last_finished().isoformat()
    quiet = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
    build_day.execute_in_process(
        instance=p.dagster(), tags={PARTITION_NAME_TAG: day}, raise_on_error=False, run_config=quiet
    )


def lost_settings(p: Patient) -> None:
    load_settings(p.environment.config, p.environment.state)
    p.replace("timezone:", "timezone")


def used_with_influxdb(p: Patient) -> None:
    p.use_influxdb("http://127.0.0.1:9")
    p.environment.state.remember_store(p.environment.store)
    p.influxdb.clear()


def silent_part(p: Patient) -> None:
    p.dagster().add_daemon_heartbeat(DaemonHeartbeat(time.time() - 600, "SENSOR", "daemon", []))


def dead_daemon_and_clock_set_back(p: Patient) -> None:
    instance = p.dagster()
    for kind in instance.get_required_daemon_types():
        instance.add_daemon_heartbeat(DaemonHeartbeat(time.time() + 3600, kind, "daemon", []))


def collector_that_fails(p: Patient) -> None:
    with closing(Outbox(p.environment.state.outbox)):
        extend_lease(p.environment.state)


FIRMWARE = b'{"sensebox":{"dht22":{"temperature":"20.1","humidity":"40.0"}}}'
OTHERS = b'{"air":{"sds011":{"PM2.5":"3.1"}}}'

BROKEN = [
    Broken("no file", lambda p: p.config.unlink(), "settings", "failure", "there is no such file", "init", 2),
    Broken(
        "tab", lambda p: p.replace("    url", "\turl"), "settings", "failure", "devices.yaml:5: is not valid YAML",
        "colons, quotes and indentation", 2,
    ),
    Broken(
        "unknown key", lambda p: p.replace("devices:", "intervall: 10s\ndevices:"), "settings", "failure",
        "intervall: unknown key", "did you mean interval?", 2,
    ),
    Broken(
        "zone", lambda p: p.replace("Europe/Warsaw", "Europe/Warschau"), "settings", "failure",
        "'Europe/Warschau' is not an IANA time zone", "did you mean Europe/Warsaw?", 2,
    ),
    Broken(
        "url twice", lambda p: p.replace(p.simulator.url("cellar"), p.simulator.url("attic")), "settings", "failure",
        "is also the address of 'attic'", "poll each device once", 2,
    ),
    Broken(
        "mistake with last valid", lost_settings, "settings", "warning", "the last valid configuration is in force",
        "colons, quotes and indentation", 0,
    ),
    Broken(
        "start in the future", lambda p: p.write(today() + timedelta(days=40)), "settings", "warning",
        "in the future", "set start", 0,
    ),
    Broken(
        "half of InfluxDB", lambda p: p.influxdb.update({"INFLUXDB_V2_URL": "http://127.0.0.1:9"}), "environment",
        "failure", "INFLUXDB_V2_TOKEN, INFLUXDB_V2_ORG, INFLUXDB_V2_BUCKET are not", "set all four", 2,
    ),
    Broken(
        "store variable lost", used_with_influxdb, "environment", "failure", "belongs to InfluxDB at",
        "set INFLUXDB_V2_URL", 2,
    ),
    Broken(
        "file as state", lambda p: p.environment.state.path.write_text("in the way"), "state directory", "failure",
        "is no directory", "set AIR_PIPELINE_STATE", 2,
    ),
    Broken(
        "refused", lambda p: p.address(f"http://127.0.0.1:{dead_port()}/"), "device attic", "failure",
        "refused the connection", "correct the port", 1,
    ),
    Broken(
        "name", lambda p: p.address("http://no-such-device.invalid/circumstances"), "device attic", "failure",
        "the name of the device is not known", "the IP address", 1,
    ),
    Broken(
        "hang", lambda p: (p.simulator.set_fault("attic", "hang"), p.replace("devices:", "timeout: 300ms\ndevices:")),
        "device attic", "failure", "timeout: no complete answer within 0.3 s", "needs a longer timeout", 1,
    ),
    Broken(
        "404", lambda p: p.answer(http(b"", status="404 Not Found")), "device attic", "failure", "status 404",
        "/circumstances", 1,
    ),
    Broken(
        "login", lambda p: p.answer(http(b"", status="401 Unauthorized")), "device attic", "failure", "status 401",
        "if it has a login, say so in devices.yaml: auth:", 1,
    ),
    Broken(
        "login page", lambda p: p.simulator.set_fault("attic", "login_page"), "device attic", "failure", "a web page",
        "another machine may have its address", 1,
    ),
    Broken(
        "redirect", lambda p: p.simulator.set_fault("attic", "redirect"), "device attic", "failure", "status 302",
        "write the address it leads to", 1,
    ),
    Broken(
        "500", lambda p: p.simulator.set_fault("attic", "http_500"), "device attic", "failure", "status 500",
        "restart the device", 1,
    ),
    Broken(
        "not HTTP", lambda p: p.answer(b"SSH-2.0-OpenSSH_9.2\r\n"), "device attic", "failure", "not HTTP",
        "correct the port", 1,
    ),
    Broken(
        "other JSON", lambda p: p.answer(http(b'{"status":"ok"}')), "device attic", "failure",
        "no object with sensors", "curl", 1,
    ),
    Broken(
        "firmware of another kind", lambda p: p.answer(http(OTHERS)), "device attic", "failure", "not one value",
        'write sensors: {sds011: {pm25: {key: PM2.5, unit: "…"}}}', 1,
    ),
    Broken(
        "another name", lambda p: p.simulator.set_fault("attic", "renamed_top_level"), "device attic", "warning",
        "calls itself", "change the entry of attic", 0,
    ),
    Broken(
        "sensors missing", lambda p: p.answer(http(FIRMWARE)), "device attic", "warning",
        "bmp180_temperature (no bmp180 in the document)", "name under sensors", 0,
    ),
    Broken(
        "unknown sensor", lambda p: p.simulator.set_fault("attic", "unknown_sensor"), "device attic", "warning",
        "not stored", "change the entry of attic", 0,
    ),
    Broken(
        "outbox stuck", stuck, "outbox", "failure", "1 polls wait, the oldest since", "put right what the store says", 1
    ),
    Broken(
        "quarantine", set_aside, "outbox", "warning", "of another type", "air-pipeline outbox --release", 1
    ),
    Broken(
        "outbox damaged", lambda p: damage(p, "outbox.sqlite"),
        "outbox", "failure", "outbox.sqlite cannot be used", "sets it aside by itself", 1,
    ),
    Broken(
        "store damaged", lambda p: damage(p, "readings.sqlite"),
        "store", "failure", "damaged or no SQLite file", "Restore a copy", 1,
    ),
    Broken(
        "collector gone", lambda p: Outbox(p.environment.state.outbox).close(), "collector", "failure",
        "none runs", "air-pipeline up", 1,
    ),
    Broken(
        "collector that does not stay", collector_that_fails, "collector", "failure", "none runs", "collector.log", 1
    ),
    Broken("daemon dead", lambda p: shutil.copytree(p._storage, p.environment.state.dagster), "daemon", "warning",
           "does not run", "air-pipeline up", 0),
    Broken("daemon dead and clock set back", dead_daemon_and_clock_set_back, "daemon", "warning",
           "does not run", "air-pipeline up", 0),
    Broken("a part of it dead", silent_part, "daemon", "failure", "parts of it have stopped: sensor", "again", 1),
    Broken(
        "sensor off", lambda p: p.switch_off("collect", InstigatorType.SENSOR), "sensor", "warning", "switched off",
        "switch collect on", 0,
    ),
    Broken(
        "schedule off", lambda p: p.switch_off("build_days", InstigatorType.SCHEDULE), "schedule", "warning",
        "switched off", "switch build_days on", 0,
    ),
    Broken(
        "days missing", lambda p: p.write(today() - timedelta(days=9)), "days", "warning", "not built",
        "air-pipeline build --from", 0,
    ),
    Broken("day shrunk", shrunk, "days", "warning", "would be lost", "--force", 0),
    Broken("run failed", failed_run, "runs", "failure", "as the moon is full", "air-pipeline build --from", 1),
]  # fmt: skip


@pytest.mark.parametrize("broken", BROKEN, ids=[broken.name.replace(" ", "_") for broken in BROKEN])
def test_what_is_broken_is_named_with_what_to_do(broken: Broken, patient: Patient) -> None:
    broken.spoil(patient)
    ran = patient("doctor")
    lines = [
        (level, line)
        for level, line in complaints(ran)
        if line.startswith(f"{broken.subject}: ") and broken.cause in line
    ]
    assert len(lines) == 1, ran.out
    [(level, line)] = lines
    assert level == broken.level
    assert broken.remedy in line.split(" → ")[1]
    assert ran.status == broken.status, ran.out


def test_before_anything_was_started_there_is_only_the_way_on(patient: Patient) -> None:
    ran = patient("doctor")
    [(level, said)] = complaints(ran)
    assert level == "warning"
    assert said.startswith("collector: none runs: devices are not polled → air-pipeline up starts one")
    assert ran.status == 0
    assert ran.err == ""


class Answering(BaseHTTPRequestHandler):
    """A web server as the UI is one."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Says nothing."""


def test_a_healthy_set_up_gives_no_complaint(patient: Patient) -> None:
    patient.write(last_finished())
    patient.seed(0, [last_finished()], 3_600_000)
    patient.store(poll_of("attic"), poll_of("cellar"))
    patient.build(last_finished())
    Outbox(patient.environment.state.outbox).close()
    patient.environment.state.remember_store(patient.environment.store)
    patient.dagster()
    patient.collecting()
    server = HTTPServer(("127.0.0.1", 0), Answering)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    patient.opened.callback(server.server_close)
    patient.opened.callback(server.shutdown)
    patient.opened.enter_context(only_one(patient.environment.state))
    patient.environment.state.ui_address.write_text(f"http://127.0.0.1:{server.server_port}\n")
    before = set(patient.folder.rglob("*"))
    ran = patient("doctor")
    assert complaints(ran) == []
    assert ran.status == 0
    assert not set(patient.folder.rglob("*")) - before
    said = {line[2:].split(":")[0] for line in ran.out.splitlines()}
    assert said >= {
        "settings", "environment", "state directory", "data directory", "disk space", "clock", "store", "outbox",
        "device attic", "device cellar", "collector", "up", "days", "daemon", "sensor", "schedule", "runs",
    }  # fmt: skip
    assert not patient.simulator.requests("attic").times_ms
    quiet = patient("doctor", "--quiet")
    assert (quiet.status, "✓" in quiet.out, complaints(quiet)) == (0, False, [])


def test_what_can_never_be_told_is_no_news_for_a_watchdog(patient: Patient, monkeypatch: pytest.MonkeyPatch) -> None:
    """As whether the clock is kept, in a container."""
    monkeypatch.setenv("container", "podman")
    quiet, whole = patient("doctor", "--quiet"), patient("doctor")
    assert "cannot be told in a container" in whole.out
    assert "cannot be told in a container" not in quiet.out


def test_looking_makes_no_file(patient: Patient) -> None:
    before = sorted(patient.folder.rglob("*"))
    assert patient("doctor").status == 0
    assert sorted(patient.folder.rglob("*")) == before
    Outbox(patient.environment.state.outbox).close()
    patient.store(poll_of("attic"))
    before = sorted(patient.folder.rglob("*"))
    assert patient("doctor").status == 1
    assert sorted(patient.folder.rglob("*")) == before


def test_while_a_collector_runs_its_last_polls_are_told_and_no_device_is_asked(patient: Patient) -> None:
    patient.collecting()
    patient.store(poll_of("attic", Outcome.HTTP_ERROR, http_status=404))
    with closing(Outbox(patient.environment.state.outbox)) as box:
        box.add([poll_of("cellar", Outcome.TIMEOUT, http_status=None)])
    said = dict(line.split(": ", 1) for _, line in complaints(patient("doctor")))
    assert "http_error, status 404, last poll of the running collector" in said["device attic"]
    assert "/circumstances" in said["device attic"]
    assert "timeout, last poll of the running collector" in said["device cellar"]


def test_a_device_that_the_running_collector_no_longer_polls_is_named(patient: Patient) -> None:
    patient.collecting()
    patient.store(poll_of("attic", age_s=600), poll_of("cellar"))
    said = complaints(patient("doctor"))
    [(level, line)] = [one for one in said if one[1].startswith("device ")]
    assert level == "warning"
    assert line.startswith("device attic: ok, status 200, last poll of the running collector")
    assert "it was not polled since" in line


def test_a_device_whose_time_is_over_is_not_asked(patient: Patient) -> None:
    patient.replace("    interval", f"    until: {last_finished()}\n    interval")
    ran = patient("doctor")
    assert "device attic: is not polled now, by its since and until" in ran.out
    assert not patient.simulator.requests("attic").times_ms


def test_a_day_is_only_missing_once_the_schedule_had_its_time(patient: Patient) -> None:
    patient.write(date(2026, 11, 20))
    settings = read_settings(patient.config)
    over = over_at(settings, date(2026, 11, 20))
    for later, level in ((timedelta(minutes=5), Level.OK), (timedelta(hours=2), Level.WARNING)):
        seen = Seen(patient.environment, over + later, settings)
        assert days_built.summary(list(days_built.findings(seen)), seen.now).level is level


def test_json_is_a_list_of_findings(patient: Patient) -> None:
    patient.simulator.set_fault("attic", "http_500")
    ran = patient("doctor", "attic", "--json")
    assert (ran.status, ran.err) == (1, "")
    rows = json.loads(ran.out)
    assert all(set(row) == {"subject", "level", "text", "remedy"} for row in rows)
    devices = {row["subject"]: row["level"] for row in rows if row["subject"].startswith("device")}
    assert devices == {"device attic": "failure"}


def test_another_device_than_those_there_are_is_wrong_use(patient: Patient) -> None:
    assert "did you mean attic?" in patient.refused("doctor", "attc", status=2)


class Terminal(io.StringIO):
    """Where progress may be shown."""

    def isatty(self) -> bool:
        return True


def test_a_sign_of_life_is_for_a_terminal_and_only_when_it_takes_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(display, "LONG_S", 0.0)
    monkeypatch.setattr("sys.stderr", shown := Terminal())
    found = Finding("wheels", "", Level.OK, "it is")

    def slowly() -> Iterator[tuple[str, Finding]]:
        wait_for(lambda: "still looking" in shown.getvalue(), "a sign of life")
        yield "well", found

    assert len(list(doctor_command._with_progress(slowly()))) == 1
    monkeypatch.setattr("sys.stderr", quiet := io.StringIO())
    assert len(list(doctor_command._with_progress(iter([("well", found)])))) == 1
    assert quiet.getvalue() == ""


def check_that(look: Callable[[Seen], Iterable[Finding]], name: str) -> Check:
    return Check(name, "", "All is well.", "", look, name)


def test_one_look_that_fails_or_hangs_hides_no_other() -> None:
    never = threading.Event()

    def hang(_: Seen) -> Iterator[Finding]:
        yield fine("half of it")
        never.wait()

    def fail(_: Seen) -> Iterator[Finding]:
        raise ZeroDivisionError("division by zero")

    seen = seen_from_outside({})
    checks = [check_that(hang, "slow"), check_that(fail, "broken"), check_that(lambda _: [fine("it is")], "well")]
    found = list(probing.findings(checks, seen, within_s=0.2))
    never.set()
    assert [(check.name, one.level) for check, one in found] == [
        ("slow", Level.OK),
        ("slow", Level.UNKNOWN),
        ("broken", Level.UNKNOWN),
        ("well", Level.OK),
    ]
    assert "division by zero" in found[2][1].text


def test_a_disk_is_judged_by_the_days_that_it_will_do(tmp_path: Path) -> None:
    assert of_space(tmp_path, 10_000_000_000, 10_000_000).level is Level.OK
    soon = of_space(tmp_path, 200_000_000, 10_000_000)
    assert (soon.level, "enough for 20 days" in soon.text) == (Level.WARNING, True)
    for free, daily in ((40_000_000, 1.0), (200_000_000, 300_000_000)):
        full = of_space(tmp_path, free, daily)
        assert (full.level, "nearly full" in full.text) == (Level.FAILURE, True)
    assert "AIR_PIPELINE_STATE" in disk_space.remedy


@pytest.mark.parametrize(
    ("synchronized", "in_container", "level"),
    [
        (True, False, Level.OK),
        (True, True, Level.OK),
        (False, False, Level.WARNING),
        (False, True, Level.UNKNOWN),
        (None, False, Level.UNKNOWN),
    ],
)
def test_a_clock_is_only_called_wrong_where_that_is_known(
    synchronized: bool | None, in_container: bool, level: Level
) -> None:
    assert of_clock(synchronized, in_container=in_container).level is level
    assert kernel_synchronized() in {True, False, None}


def test_the_clock_of_another_machine_is_compared() -> None:
    [apart] = of_other_clock("http://192.168.1.9:8086", 40.0)
    assert "40 s ahead of" in apart.text
    assert not list(of_other_clock("http://192.168.1.9:8086", 1.2))
    assert not list(of_other_clock("http://localhost:8086", 40.0))
    assert not list(of_other_clock("http://192.168.1.9:8086", None))


def test_a_device_that_may_take_longer_than_doctor_waits_is_not_called_broken(
    patient: Patient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("air_pipeline.health.devices.LONGEST_S", 0.2)
    patient.simulator.set_fault("attic", "hang")
    said = dict(line[1].split(": ", 1) for line in complaints(patient("doctor", "attic")))
    assert "no answer within 0.2 s; by its timeout it may take 5 s" in said["device attic"]
    assert "air-pipeline poll attic" in said["device attic"]


def use(patient: Patient, server: InfluxServer, **changes: str) -> None:
    values = {"URL": server.url, "TOKEN": server.token, "ORG": server.org, "BUCKET": "air"} | changes
    patient.influxdb.update({name: values[name.removeprefix("INFLUXDB_V2_")] for name in INFLUXDB})


def store_lines(patient: Patient) -> tuple[int, list[tuple[str, str]]]:
    ran = patient("doctor")
    assert "secret" not in ran.out
    return ran.status, [line for line in complaints(ran) if line[1].startswith("store: ")]


@pytest.mark.influxdb
def test_an_influxdb_that_is_well_gives_no_complaint_and_no_point(patient: Patient, influxdb: InfluxServer) -> None:
    bucket = influxdb.make_bucket()
    use(patient, influxdb, BUCKET=bucket, TOKEN=influxdb.make_token(bucket, "read", "write"))
    assert store_lines(patient) == (0, [])
    with closing(open_store(patient.environment.influxdb, patient.environment.state)) as store:
        assert store.latest() == {}


@pytest.mark.influxdb
@pytest.mark.parametrize(
    ("changes", "status", "level", "cause", "remedy"),
    [
        ({"TOKEN": "nonsense"}, 1, "failure", "refuses the token (401)", "set INFLUXDB_V2_TOKEN"),
        ({"TOKEN": "read"}, 1, "failure", "does not let this token write", "give it the right to"),
        ({"TOKEN": "write"}, 1, "failure", "does not let this token read", "It could not be compared"),
        ({"ORG": "nobody"}, 1, "failure", "has no organization 'nobody'", "correct INFLUXDB_V2_ORG"),
        ({"BUCKET": "nothing-of-ours"}, 0, "warning", "no bucket 'nothing-of-ours'", "correct INFLUXDB_V2_BUCKET"),
        (
            {"BUCKET": "nothing-of-ours", "TOKEN": "read write"},
            1,
            "failure",
            "no bucket 'nothing-of-ours'",
            "correct INFLUXDB_V2_BUCKET",
        ),
        ({"URL": f"http://127.0.0.1:{dead_port()}"}, 1, "failure", "gives no answer", "is INFLUXDB_V2_URL right?"),
    ],
)
def test_what_is_wrong_with_an_influxdb_is_named(
    changes: dict[str, str], status: int, level: str, cause: str, remedy: str, patient: Patient, influxdb: InfluxServer
) -> None:
    bucket = influxdb.make_bucket()
    token = changes.get("TOKEN", influxdb.token)
    if set(token.split()) <= {"read", "write"}:
        token = influxdb.make_token(bucket, *token.split())
    use(patient, influxdb, **{"BUCKET": bucket, **changes, "TOKEN": token})
    ended, lines = store_lines(patient)
    assert len(lines) == 1, lines
    [(found, line)] = lines
    assert (ended, found) == (status, level)
    text, remedies = line.split(" → ")
    assert cause in text
    assert remedy in remedies


@pytest.mark.influxdb
def test_a_bucket_that_forgets_is_warned_of(patient: Patient, influxdb: InfluxServer) -> None:
    use(patient, influxdb, BUCKET=influxdb.make_bucket(retention_s=30 * 86_400))
    status, [(level, line)] = store_lines(patient)
    assert (status, level) == (0, "warning")
    assert "forgets readings after 30 days" in line


def test_an_influxdb_that_hangs_is_told_from_one_that_refuses(
    patient: Patient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("air_pipeline.health.seen.EXAMINED_WITHIN_S", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        patient.use_influxdb(f"http://127.0.0.1:{silent.getsockname()[1]}")
        status, [(level, line)] = store_lines(patient)
    assert (status, level) == (1, "failure")
    assert "gives no answer" in line
    assert "nothing is lost" in line


def hanging_everything(shell: Installation, opened: ExitStack) -> dict[str, str]:
    """A device and a store that accept a connection and say nothing more, and a lock that cannot be read to its end."""
    silent = socket.create_server(("127.0.0.1", 0))
    opened.callback(silent.close)
    url = f"http://127.0.0.1:{silent.getsockname()[1]}"
    shell.config.write_text(
        f"timezone: Europe/Warsaw\nstart: {today()}\ndevices:\n  - id: hall\n    url: {url}/circumstances\n"
    )
    state = shell.environment.state
    state.make()
    os.mkfifo(state.collector_lock)  # who opens it waits for a writer, as on a disk that does not answer
    return {**INFLUX, "INFLUXDB_V2_URL": url}


def doctor_process(shell: Installation, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "air_pipeline", "doctor", *arguments]
    environment = {**shell.variables, **variables}
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=WITHIN_S)


def test_a_watchdog_hears_of_what_is_not_well_alone(patient: Patient) -> None:
    patient.replace("10s", "ten")
    ran = patient("doctor", "--quiet")
    assert (ran.status, "✓" in ran.out) == (2, False)
    assert ("failure", "settings: ") in [(level, text[:10]) for level, text in complaints(ran)]


@pytest.mark.slow
def test_a_look_ends_whatever_hangs(tmp_path: Path) -> None:
    shell = Installation(tmp_path)
    with ExitStack() as opened:
        ran = doctor_process(shell, "--quiet", **hanging_everything(shell, opened))
    assert ran.returncode == 1, ran
    assert "gives no answer" in ran.stdout
    assert "collector.lock" in ran.stdout
    assert "✓" not in ran.stdout


def test_a_look_ends_where_not_even_the_settings_can_be_read(patient: Patient, monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a disk that does not answer."""
    monkeypatch.setattr(doctor_command, "WITHIN_S", 0.1)
    monkeypatch.setattr(doctor_command, "seen_from_outside", lambda *_, **__: threading.Event().wait())
    ran = patient("doctor", "--quiet")
    assert (ran.status, len(ran.out.splitlines())) == (1, 1)
    assert "✗ disk: there was no answer within 0.1 s when devices.yaml and the state directory were read" in ran.out


def test_a_look_that_does_not_end_is_grave_for_a_watchdog_alone(
    patient: Patient, monkeypatch: pytest.MonkeyPatch
) -> None:
    hung = Finding("runs_succeeded", "", Level.UNKNOWN, "there was no answer within 12 s", "try again")
    monkeypatch.setattr(doctor_command, "lines", lambda *_: iter([("runs", hung)]))
    assert patient("doctor").status == 0
    assert patient("doctor", "--quiet").status == 1
