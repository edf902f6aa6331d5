"""`up`, as its user starts it and as the world treats it, seen through the UI, the store and the files."""

import json
import signal
from collections import Counter
from contextlib import closing
from dataclasses import replace
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import psutil
import pytest
import requests

from air_pipeline.collection.lease import extend_lease, holder
from air_pipeline.devices.polls import Outcome, Poll, problems_from_json
from air_pipeline.devices.simulator import Simulator
from air_pipeline.settings.file import read_settings
from air_pipeline.storage.opening import open_store
from air_pipeline_tests.influxdb_server import InfluxServer
from air_pipeline_tests.running_pipeline import (
    DAY_TABLES,
    INTERVALS,
    Installation,
    Pipeline,
    due_slots,
    free_port,
    has_colour,
    now_ms,
    running_pipeline,
    today,
    write_devices,
)
from air_pipeline_tests.waiting import WITHIN_S, wait_for

SEED_INTERVAL_MS = 60_000


@pytest.fixture
def simulator() -> Any:
    with Simulator(INTERVALS) as running:
        yield running


def install(
    folder: Path, simulator: Simulator, past_days: list[date], influxdb: dict[str, str] | None = None
) -> Installation:
    folder.mkdir(exist_ok=True)
    installation = Installation(folder, influxdb)
    write_devices(installation.config, simulator, INTERVALS, min(past_days))
    installation.seed(0, past_days, SEED_INTERVAL_MS)
    return installation


def no_slot_was_asked_for_twice(simulator: Simulator, installation: Installation, begun: int, kills: int = 0) -> None:
    """Each request became a poll of its own, but for the one that a kill may have cut off."""
    polled = Counter(name for name, _ in installation.accepted(INTERVALS, begun - max(INTERVALS.values())))
    for name in INTERVALS:
        traffic = simulator.requests(name)
        assert traffic.most_at_once == 1
        assert len(traffic.times_ms) <= polled[name] + kills


def test_up_shows_collects_reports_and_ends_cleanly(tmp_path: Path, simulator: Simulator) -> None:
    installation = install(tmp_path / "home", simulator, [today() - timedelta(days=1)])
    with running_pipeline(installation) as pipeline:
        begun = installation.collecting_since()
        assert "<html" in requests.get(pipeline.url, timeout=WITHIN_S).text
        a_second_one_refuses(installation)
        installation.wait_for_slots(begun)
        the_commands_work_beside_it(installation)
        what_came_in_is_reported(pipeline)
        a_saved_change_is_in_force_in_dagster_too(pipeline)
        it_ends_cleanly(pipeline)
    assert not installation.gaps(begun)
    no_slot_was_asked_for_twice(simulator, installation, begun)


@pytest.mark.slow
def test_whatever_is_killed_costs_no_slot_and_no_day(tmp_path: Path, simulator: Simulator) -> None:
    past = [today() - timedelta(days=number) for number in (3, 2)]
    installation = install(tmp_path / "home", simulator, past)
    with running_pipeline(installation) as pipeline:
        first = installation.collecting_since()
        backfill = pipeline.backfill(past)
        installation.wait_for_slots(first)
        wait_for(lambda: pipeline.check("configuration_valid").get("success"), "the check of the configuration")
        a_typing_error_and_a_killed_collector_cost_little(pipeline, first)
        begun = installation.collecting_since()
        killed_dagster_processes_cost_no_slot(pipeline, begun)
        the_days_are_built(pipeline, backfill, past)
        a_killed_up_leaves_no_dagster_behind(pipeline)
        a_new_one_goes_on_and_ends_cleanly(installation, begun)
    no_slot_was_asked_for_twice(simulator, installation, first, kills=1)


def the_commands_work_beside_it(installation: Installation) -> None:
    latest = installation.run("latest", "--json")
    assert (latest.returncode, latest.stderr) == (0, "")
    rows = {row["device"]: row for row in json.loads(latest.stdout)}
    assert set(rows) == set(INTERVALS)
    for name, row in rows.items():
        assert row["outcome"] == "ok"
        assert datetime.fromisoformat(row["polled_at"]).timestamp() * 1000 % INTERVALS[name] == 0
        assert row["values"]["dht22_temperature"] is not None

    history = installation.run("history", "attic", "--from", "-1m")
    assert (history.returncode, history.stderr) == (0, "")
    header, *lines = history.stdout.splitlines()
    assert header.startswith("observed_at,device,")
    assert lines
    assert all(",attic," in line for line in lines)

    polled = installation.run("poll", "cellar")
    assert (polled.returncode, polled.stderr) == (0, "")
    assert "last poll of the running collector" in polled.stdout

    outbox = installation.run("outbox")
    assert (outbox.returncode, outbox.stderr) == (0, "")
    assert "0 polls are in quarantine" in outbox.stdout
    assert not any(has_colour(command.stdout) for command in (latest, history, polled, outbox))


def a_second_one_refuses(installation: Installation) -> None:
    second = installation.run("up", "--port", str(free_port()))
    assert second.returncode == 1
    assert "already runs on" in second.stderr
    assert "Traceback" not in second.stderr


def what_came_in_is_reported(pipeline: Pipeline) -> None:
    [*_, first] = wait_for(lambda: pipeline.materializations("raw_readings"), "a report of what came in")
    assert first["devices"] == len(INTERVALS)
    assert first["polls"] == sum(first[f"polls_{outcome.value}"] for outcome in Outcome) > 0
    assert first["readings"] > 0
    wait_for(lambda: pipeline.check("collector_running").get("success"), "the check of the collector")
    assert pipeline.check("configuration_valid")["success"]
    assert pipeline.sensor()["sensorState"]["status"] == "RUNNING"


def a_saved_change_is_in_force_in_dagster_too(pipeline: Pipeline) -> None:
    """Partitions, columns and freshness follow."""
    config, earlier = pipeline.installation.config, today() - timedelta(days=2)
    assert earlier.isoformat() not in pipeline.partitions("observations")
    assert "sds011_pm25" not in pipeline.columns("raw_readings")
    fresh = pipeline.fresh_until("daily_aggregates")
    text = config.read_text(encoding="utf-8").replace(f"start: {today() - timedelta(days=1)}", f"start: {earlier}")
    added = "    sensors: {dht22: [temperature], sds011: {pm25: {unit: µg/m³}}}\n"  # of the last device
    config.write_text(f"grace: 20m\n{text}{added}", encoding="utf-8")
    wait_for(lambda: earlier.isoformat() in pipeline.partitions("observations"), "the new partition")
    assert "sds011_pm25" in pipeline.columns("raw_readings")
    assert fresh != pipeline.fresh_until("daily_aggregates") != []


def a_typing_error_and_a_killed_collector_cost_little(pipeline: Pipeline, begun: int) -> None:
    installation = pipeline.installation
    state = installation.environment.state
    valid = installation.config.read_text(encoding="utf-8")
    installation.config.write_text(valid + "    intervall: 2s\n", encoding="utf-8")
    collector = installation.collector()
    accepted = installation.accepted(INTERVALS, begun)
    killed = now_ms()
    psutil.Process(collector.pid).kill()
    back = installation.collector(another_than=collector)
    # What it goes on with is the last valid configuration.
    installation.wait_for_slots(round(back.since * 1000))
    assert holder(state) == back
    assert accepted <= installation.accepted(INTERVALS, begun)
    assert not installation.gaps(begun, killed)
    found = wait_for(
        lambda: (check := pipeline.check("configuration_valid")) and not check["success"] and check, "the mistake"
    )
    line = len(valid.splitlines()) + 1
    assert f"devices.yaml:{line}" in found["description"]
    assert "intervall" in found["description"]
    installation.config.write_text(valid, encoding="utf-8")


def killed_dagster_processes_cost_no_slot(pipeline: Pipeline, begun: int) -> None:
    installation = pipeline.installation
    killed = [pipeline.part(words) for words in ("dagster-daemon run", "code-server start")]
    for process in killed:
        process.kill()
    extend_lease(installation.environment.state, 2 * WITHIN_S)  # a slow machine may be back too late
    for words, old in zip(("dagster-daemon run", "code-server start"), killed, strict=True):
        wait_for(
            lambda words=words, old=old: [p for p in installation.processes(words) if p.pid != old.pid],  # type: ignore[misc]
            f"another {words}",
        )
    assert "the daemon has ended and is started again" in pipeline.said
    assert "the code server has ended and is started again" in pipeline.said
    # The sensor ticks again: it alone can say that the configuration was put right.
    wait_for(lambda: pipeline.check("configuration_valid").get("success"), "a tick after the restart")
    assert installation.collecting_since() == begun
    installation.wait_for_slots(now_ms())
    assert not installation.gaps(begun)


def the_days_are_built(pipeline: Pipeline, backfill: str, days: list[date]) -> None:
    pipeline.wait_for_days(backfill, days)
    for day in days:
        assert pipeline.installation.built(day)
        daily = pd.read_parquet(pipeline.installation.file("daily_aggregates", day))
        assert set(daily["device"]) == set(INTERVALS)
        assert (daily["coverage"] > 0.9).all()
    assert set(days) <= {date.fromisoformat(m["partition"]) for m in pipeline.materializations("observations")}


def a_killed_up_leaves_no_dagster_behind(pipeline: Pipeline) -> None:
    installation = pipeline.installation
    pipeline.process.kill()
    pipeline.process.wait()
    extend_lease(installation.environment.state, 2 * WITHIN_S)  # a slow machine may start the next one too late
    [collector] = installation.processes("collect --leased")
    wait_for(lambda: installation.processes() == [collector], "the end of the Dagster processes")


def a_new_one_goes_on_and_ends_cleanly(installation: Installation, begun: int) -> None:
    with running_pipeline(installation) as pipeline:
        assert installation.collecting_since() == begun, "the collector did not go on all the while"
        installation.wait_for_slots(now_ms())
        it_ends_cleanly(pipeline)
    assert not installation.gaps(begun)


def it_ends_cleanly(pipeline: Pipeline) -> None:
    assert pipeline.stop(signal.SIGINT) == 0
    assert pipeline.installation.processes() == []
    assert holder(pipeline.installation.environment.state) is None
    assert pipeline.installation.waiting() == set()
    assert "Traceback" not in pipeline.said


@pytest.mark.influxdb
@pytest.mark.slow
def test_on_influxdb_points_are_as_described_and_days_are_as_from_the_embedded_store(
    tmp_path: Path, simulator: Simulator, influxdb: InfluxServer
) -> None:
    bucket = influxdb.make_bucket()
    variables = {
        "INFLUXDB_V2_URL": influxdb.url,
        "INFLUXDB_V2_TOKEN": influxdb.token,
        "INFLUXDB_V2_ORG": influxdb.org,
        "INFLUXDB_V2_BUCKET": bucket,
    }
    day = today() - timedelta(days=2)
    installation = install(tmp_path / "influxdb", simulator, [day], variables)
    with running_pipeline(installation) as pipeline:
        begun = installation.collecting_since()
        pipeline.backfill([day])
        what_came_in_is_reported(pipeline)
        wait_for(lambda: pipeline.materialized_partitions("daily_report"), "the day")
        assert pipeline.stop(signal.SIGTERM) == 0
    assert installation.waiting() == set()
    assert not installation.gaps(begun)
    points_are_as_described(influxdb, bucket, begun)

    copy = Installation(tmp_path / "embedded")
    copy.folder.mkdir()
    copy.config.write_text(installation.config.read_text(encoding="utf-8"), encoding="utf-8")
    copy_polls(installation, copy)
    built = copy.run("build", "--from", str(day), "--to", str(day))
    assert built.returncode == 0, built.stderr
    for table in DAY_TABLES:
        assert copy.file(table, day).read_bytes() == installation.file(table, day).read_bytes(), table


def points_are_as_described(influxdb: InfluxServer, bucket: str, begun: int) -> None:
    def ask(query: str) -> list[dict[str, Any]]:
        answer = influxdb.api("GET", "/query", params={"db": bucket, "q": query, "epoch": "ms"})
        [result] = answer["results"]
        return list(result.get("series", []))

    [measurements] = ask("SHOW MEASUREMENTS")
    assert measurements["values"] == [["air"], ["collector"], ["poll"]]
    assert {(s["name"], *key) for s in ask("SHOW TAG KEYS") for key in s["values"]} == {
        ("air", "device"),
        ("collector", "collector"),
        ("poll", "device"),
    }
    types = {s["name"]: dict(s["values"]) for s in ask("SHOW FIELD KEYS")}
    told = {name: kind for name, kind in types["collector"].items() if name != "oldest_ms"}  # only while polls wait
    assert told == {
        **dict.fromkeys(("failures", "pending", "pid", "quarantined", "since_ms"), "float"),
        **dict.fromkeys(("asides", "error", "notes", "reasons", "recording"), "string"),
        **dict.fromkeys(("host", "settings", "shares", "token", "version"), "string"),
    }
    assert types["poll"] == {
        "outcome": "string",
        "problems": "string",
        "series": "string",
        "duration_ms": "float",
        "http_status": "float",
        "interval_s": "float",
    }
    assert set(types["air"].values()) == {"float"}
    assert {"dht22_temperature", "bmp180_sea_level_pressure", "mq135_acetone", "mq135_toluene"} <= set(types["air"])
    since = f"WHERE time >= {begun}ms GROUP BY device"
    polls = {series["tags"]["device"]: series for series in ask(f"SELECT * FROM poll {since}")}  # noqa: S608
    readings = {series["tags"]["device"]: series for series in ask(f"SELECT * FROM air {since}")}  # noqa: S608
    assert set(polls) == set(readings) == set(INTERVALS)
    for name, interval in INTERVALS.items():
        rows = [dict(zip(polls[name]["columns"], row, strict=True)) for row in polls[name]["values"]]
        times = [row["time"] for row in rows]
        assert times == sorted(due_slots(interval, times[0], times[-1]))
        assert all(row["interval_s"] == interval / 1000 for row in rows)
        good = [row for row in rows if row["outcome"] in {"ok", "partial"}]
        assert good
        assert all(row["http_status"] == requests.codes.ok and row["duration_ms"] >= 0 for row in good)
        assert all(row["problems"] == "" for row in good if row["outcome"] == "ok")
        assert [row[0] for row in readings[name]["values"]] == [row["time"] for row in good]


def copy_polls(source: Installation, target: Installation) -> None:
    """Copies every poll of all devices from one store to the other."""
    target_store = open_store(None, target.environment.state)
    with closing(open_store(source.environment.influxdb, source.environment.state)) as store, closing(target_store):
        for device in read_settings(source.config).devices:
            polls = store.polls(device.id, 0, 10**14)
            readings = store.readings(device.id, 0, 10**14)
            values = {
                at: {k: v for k, v in row.items() if pd.notna(v)} for at, row in readings.to_dict("index").items()
            }
            target_store.write(
                [_poll(device.id, at, row, values.get(at, {})) for at, row in polls.to_dict("index").items()]
            )


def _poll(device: str, at: pd.Timestamp, row: dict[str, Any], values: dict[str, float]) -> Poll:
    poll = Poll(
        device=device,
        observed_at=round(at.timestamp() * 1000),
        outcome=Outcome(row["outcome"]),
        duration_ms=row["duration_ms"],
        interval_s=row["interval_s"],
        values=values,
        problems=problems_from_json(row["problems"]),
        body=row["body"] if isinstance(row["body"], str) else None,
    )
    return replace(poll, http_status=int(row["http_status"])) if pd.notna(row["http_status"]) else poll
