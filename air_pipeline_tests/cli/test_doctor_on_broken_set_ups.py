"""`air-pipeline doctor` on set-ups that are broken in one way each: one line names it, with what to do."""

import shutil
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from datetime import timedelta

import dagster as dg
import pytest
from dagster._core.scheduler.instigation import InstigatorType
from dagster._core.storage.tags import PARTITION_NAME_TAG
from dagster._daemon.types import DaemonHeartbeat

from air_pipeline.collection.lease import extend_lease
from air_pipeline.collection.outbox import Outbox
from air_pipeline.in_force import load_settings
from air_pipeline_tests.cli.patient import Patient, complaints, poll_of
from air_pipeline_tests.devices.raw_server import http
from air_pipeline_tests.running_pipeline import dead_port, last_finished, today


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
