"""`air-pipeline doctor`: what it says of what is well, what it asks, for whom it is; and that it ends."""

import io
import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, closing
from datetime import date, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from air_pipeline.cli import display
from air_pipeline.cli import doctor as doctor_command
from air_pipeline.collection.clock import kernel_synchronized
from air_pipeline.collection.outbox import Outbox
from air_pipeline.days.calendar import over_at
from air_pipeline.devices.polls import Outcome
from air_pipeline.health import Check, Finding, Level, fine, probing
from air_pipeline.health.clock import of_clock, of_other_clock
from air_pipeline.health.days import days_built
from air_pipeline.health.seen import Seen, seen_from_outside
from air_pipeline.health.space import disk_space, of_space
from air_pipeline.running.up import only_one
from air_pipeline.settings.file import read_settings
from air_pipeline_tests.cli.patient import Patient, complaints, poll_of
from air_pipeline_tests.environments import INFLUX
from air_pipeline_tests.running_pipeline import Installation, last_finished, today
from air_pipeline_tests.waiting import WITHIN_S, wait_for


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


def test_a_month_that_is_not_built_is_said_by_its_ends_around_the_days_that_are(patient: Patient) -> None:
    last = last_finished()  # which is built, as none is missed in its first two hours
    first, built = last - timedelta(days=30), last - timedelta(days=3)
    patient.write(first)
    for day in (built, last):
        patient.seed(0, [day], 3_600_000)
        patient.build(day)
    said = next(said for _, said in complaints(patient("doctor")) if said.startswith("days: 29 of 31"))
    runs = f"{first} … {built - timedelta(days=1)}, {built + timedelta(days=1)} … {last - timedelta(days=1)}"
    assert said.startswith(f"days: 29 of 31 days are not built: {runs} → ")


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
