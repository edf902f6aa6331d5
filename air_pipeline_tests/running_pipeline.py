"""`air-pipeline up` as its user starts it, and what can be seen of it: GraphQL, processes, the store, files."""

import atexit
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import replace
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import psutil
import requests

from air_pipeline.collection.lease import Holder, holder
from air_pipeline.collection.outbox import Outbox
from air_pipeline.devices.simulator import Profile, Simulator
from air_pipeline.devices.simulator.history import polls_between
from air_pipeline.environment import Environment, read_environment
from air_pipeline.processing.local_time import day_window, epoch_ms
from air_pipeline.settings.file import read_settings
from air_pipeline.storage.opening import open_store
from air_pipeline_tests.waiting import WITHIN_S, wait_for

DAY_TABLES = ("observations", "hourly_aggregates", "daily_aggregates", "daily_report")
"""The tables of a day, and its page."""
ZONE = "Europe/Warsaw"
INTERVALS = {"attic": 5_000, "cellar": 10_000}
"""Devices with intervals (ms) so long that a busy machine, which stands still for seconds, begins every slot."""


def now_ms() -> int:
    """The time, ms UTC."""
    return int(time.time() * 1000)


def today() -> date:
    """The date in the zone of `write_devices`."""
    return datetime.now(ZoneInfo(ZONE)).date()


def yesterday() -> date:
    """The local day before it."""
    return today() - timedelta(days=1)


def last_finished() -> date:
    """The newest date that can be built in that zone now: it is over, and its grace as well."""
    return (datetime.now(ZoneInfo(ZONE)) - timedelta(minutes=15)).date() - timedelta(days=1)


def free_port() -> int:
    """A port of loopback that nobody listens at."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def dead_port() -> int:
    """A port of loopback that refuses connections as long as the tests run: it is taken, and nobody listens at it."""
    holder = socket.socket()
    holder.bind(("127.0.0.1", 0))
    atexit.register(holder.close)
    return int(holder.getsockname()[1])


def write_devices(path: Path, simulator: Simulator, devices: Mapping[str, int | str], start: date) -> None:
    """Writes a `devices.yaml`; `devices` are ids with their intervals (ms, or as a text such as `10s`)."""
    lines = [f"timezone: {ZONE}", f"start: {start}", "devices:"]
    for name, interval in devices.items():
        said = f"{interval}ms" if isinstance(interval, int) else interval
        lines += [f"  - id: {name}", f"    url: {simulator.url(name)}", f"    interval: {said}"]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


class Installation:
    """A folder with a `devices.yaml` and a state directory, and the environment that commands are given there."""

    def __init__(self, folder: Path, influxdb: Mapping[str, str] | None = None, state: str = "state") -> None:
        self.folder = folder
        self.state = folder / state
        self.config = folder / "devices.yaml"
        self.influxdb = dict(influxdb or {})

    @property
    def variables(self) -> dict[str, str]:
        """The environment of a user who has set nothing but the store and where everything is."""
        ours = ("AIR_PIPELINE_", "INFLUXDB_V2_", "DAGSTER_")
        mine = {"AIR_PIPELINE_CONFIG": str(self.config), "AIR_PIPELINE_STATE": str(self.state)}
        return {k: v for k, v in os.environ.items() if not k.startswith(ours)} | mine | self.influxdb

    @property
    def environment(self) -> Environment:
        """What the program makes of that environment."""
        return read_environment(self.variables)

    def run(self, *arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
        """Runs a command to its end."""
        return subprocess.run(
            [sys.executable, "-m", "air_pipeline", *arguments],
            env=self.variables,
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=WITHIN_S,
            check=False,
            **options,
        )

    def stored(self, devices: Iterable[str], since: int) -> Counter[tuple[str, int]]:
        """How often each slot (ms) of each device is in the store."""
        found: Counter[tuple[str, int]] = Counter()
        with closing(open_store(self.environment.influxdb, self.environment.state)) as store:
            for device in devices:
                index = store.polls(device, since, 10**14).index
                found.update((device, round(at.timestamp() * 1000)) for at in index)
        return found

    def waiting(self) -> set[tuple[str, int]]:
        """The device and slot (ms) of every poll in the outbox."""
        with closing(Outbox(self.environment.state.outbox)) as box:
            return {(one.poll.device, one.poll.observed_at) for one in box.pending(1_000_000)}

    def seed(self, simulator_seed: int, days: Iterable[date], interval_ms: int) -> None:
        """Writes what a collector would have stored on these local days, for every device, into the store.

        With the slot at the end of each day: a day depends on the one slot after it, whatever hour it is now.
        """
        settings = read_settings(self.config)
        with closing(open_store(self.environment.influxdb, self.environment.state)) as store:
            for day in days:
                start, end = (epoch_ms(edge) for edge in day_window(day, settings.zone))
                for device in settings.devices:
                    past = replace(device, interval_ms=interval_ms)
                    store.write(list(polls_between(past, Profile(device.id, simulator_seed), start, end + 1)))

    def collector(self, another_than: Holder | None = None) -> Holder:
        """The collector that runs; waits for one that has said who it is."""
        others = {0, another_than.pid if another_than else 0}
        return wait_for(
            lambda: (now := holder(self.environment.state)) and now.pid not in others and now, "a collector"
        )

    def collecting_since(self) -> int:
        """When the collector that runs was started, ms; waits for one."""
        return int(self.collector().since * 1000)

    def accepted(self, devices: Iterable[str], since: int) -> set[tuple[str, int]]:
        """The device and slot (ms) of every poll since then, in store or outbox; one that is stored twice fails."""
        waiting = self.waiting()  # before the store: what leaves the outbox in between is there
        stored = self.stored(devices, since)
        assert set(stored.values()) <= {1}
        return set(stored) | {(name, slot) for name, slot in waiting if slot >= since}

    def gaps(
        self, since: int, until: int | None = None, intervals: Mapping[str, int] = INTERVALS
    ) -> set[tuple[str, int]]:
        """The slots that nobody accepted between the first and the last accepted ones of a device.

        Args:
            since: ms; what was accepted before counts for nothing.
            until: ms; nor does what was accepted later, if given.
            intervals: the devices.
        """
        accepted = {(name, slot) for name, slot in self.accepted(intervals, since) if until is None or slot <= until}
        due = set()
        for name, interval in intervals.items():
            slots = [slot for device, slot in accepted if device == name]
            due |= {(name, slot) for slot in due_slots(interval, min(slots), max(slots))}
        return due - accepted

    def wait_for_slots(self, since: int, intervals: Mapping[str, int] = INTERVALS) -> None:
        """Waits for an accepted slot of each device since then, ms."""
        wait_for(lambda: intervals.keys() == {name for name, _ in self.accepted(intervals, since)}, "a slot of each")

    def file(self, table: str, day: date) -> Path:
        """The file of one table and local day."""
        suffix = "html" if table == "daily_report" else "parquet"
        return self.environment.data / table / f"date={day}" / f"{table}.{suffix}"

    def built(self, day: date) -> bool:
        """Whether all files of a day are there."""
        return all(self.file(table, day).exists() for table in DAY_TABLES)

    def processes(self, words: str = "") -> list[psutil.Process]:
        """The processes of this state directory, whoever started them, that have `words` in their command."""
        found = []
        for pid in psutil.pids():  # process_iter() remembers those that it saw, and numbers are used again
            try:
                process = psutil.Process(pid)
                if process.status() == psutil.STATUS_ZOMBIE:
                    continue
                mine = process.environ().get("AIR_PIPELINE_STATE") == str(self.environment.state)
                if mine and words in " ".join(process.cmdline()):
                    found.append(process)
            except psutil.Error:  # it has just ended, or is not ours
                continue
        return found


class Pipeline:
    """A running `up`."""

    def __init__(self, installation: Installation, port: int, process: subprocess.Popen[str], log: Path) -> None:
        self.installation = installation
        self.process = process
        self.url = f"http://127.0.0.1:{port}"
        self._log = log

    @property
    def said(self) -> str:
        """What it has written so far."""
        return self._log.read_text(encoding="utf-8")

    def wait_until_ready(self) -> None:
        """Waits for the line that names the UI."""

        def ready() -> bool:
            assert self.process.poll() is None, f"up has ended:\n{self.said}"
            return f"The Dagster UI is at {self.url}" in self.said

        wait_for(ready, "the UI")

    def stop(self, number: int = signal.SIGINT) -> int:
        """Stops it by a signal; its exit status."""
        self.process.send_signal(number)
        return self.process.wait(WITHIN_S)

    def part(self, words: str) -> psutil.Process:
        """One of its processes: the outermost with these words in its command."""
        found = self.installation.processes(words)
        assert found, f"no process of {words}"
        return min(found, key=lambda process: (process.create_time(), process.pid))

    def ask(self, query: str, **variables: Any) -> dict[str, Any]:
        """The data of a GraphQL query."""
        answer = requests.post(f"{self.url}/graphql", json={"query": query, "variables": variables}, timeout=WITHIN_S)
        answer.raise_for_status()
        body = answer.json()
        assert not body.get("errors"), body["errors"]
        return dict(body["data"])

    def materializations(self, asset: str, limit: int = 10) -> list[dict[str, Any]]:
        """The newest materializations of an asset, each with its partition and numbers."""
        nodes = self.ask(_MATERIALIZATIONS, key={"path": [asset]}, limit=limit)["assetNodes"]
        return [
            {
                "partition": event["partition"],
                **{entry["label"]: entry.get("intValue") for entry in event["metadataEntries"]},
            }
            for event in nodes[0]["assetMaterializations"]
        ]

    def checks(self, asset: str = "raw_readings") -> dict[str, dict[str, Any]]:
        """The last evaluation of each check of an asset that has one: `success` and `description`.

        Nothing while the UI has no definitions, as the code server has just been started again.
        """
        nodes = self.ask(_CHECKS, key={"path": [asset]})["assetNodes"]
        found = {}
        for check in nodes[0]["assetChecksOrError"]["checks"] if nodes else []:
            last = check["executionForLatestMaterialization"]
            if last and last["evaluation"]:
                found[check["name"]] = last["evaluation"]
        return found

    def check(self, name: str, asset: str = "raw_readings") -> dict[str, Any]:
        """The last evaluation of one check of an asset; empty if there is none."""
        return self.checks(asset).get(name, {})

    def backfill(self, days: Iterable[date]) -> str:
        """Launches a backfill of all tables as the UI does; its id."""
        parameters = {
            "assetSelection": [{"path": [table]} for table in DAY_TABLES],
            "partitionNames": [day.isoformat() for day in days],
        }
        result = self.ask(_BACKFILL, parameters=parameters)["launchPartitionBackfill"]
        assert "backfillId" in result, result
        return str(result["backfillId"])

    def backfill_status(self, backfill: str) -> str:
        """How a backfill stands, such as `COMPLETED_SUCCESS`."""
        found = self.ask(_BACKFILL_STATUS, id=backfill)["partitionBackfillOrError"]
        assert "status" in found, found
        return str(found["status"])

    def wait_for_days(self, backfill: str, days: Sequence[date]) -> None:
        """Waits for the days of a backfill, one after the other, and its end; fails if it does."""

        def so_far(number: int) -> bool:
            status = self.backfill_status(backfill)
            assert "FAIL" not in status, status
            return sum(map(self.installation.built, days)) >= number

        for number in range(1, len(days) + 1):
            wait_for(lambda number=number: so_far(number), f"day {number} of {len(days)} of the backfill")
        wait_for(lambda: self.backfill_status(backfill) == "COMPLETED_SUCCESS", "the end of the backfill")

    def materialized_partitions(self, asset: str) -> int:
        """How many partitions of an asset are materialized."""
        [node] = self.ask(_PARTITIONS, key={"path": [asset]})["assetNodes"]
        return int(node["partitionStats"]["numMaterialized"])

    def partitions(self, asset: str) -> list[str]:
        """The partitions that an asset can have; nothing while the UI has no definitions."""
        return [
            key
            for node in self.ask(_PARTITION_KEYS, key={"path": [asset]})["assetNodes"]
            for key in node["partitionKeys"]
        ]

    def columns(self, asset: str) -> set[str]:
        """The columns that an asset is said to have; nothing while the UI has no definitions."""
        entries = [entry for node in self._definitions(asset) for entry in node["metadataEntries"]]
        return {column["name"] for entry in entries if "schema" in entry for column in entry["schema"]["columns"]}

    def fresh_until(self, asset: str) -> list[str]:
        """When an asset is to be fresh each day, as cron says it."""
        policies = (node["internalFreshnessPolicy"] for node in self._definitions(asset))
        return [policy["deadlineCron"] for policy in policies if policy]

    def _definitions(self, asset: str) -> list[dict[str, Any]]:
        return list(self.ask(_DEFINITION, key={"path": [asset]})["assetNodes"])

    def runs(self, status: str) -> list[str]:
        """The ids of the runs with a status."""
        return [run["runId"] for run in self.ask(_RUNS, filter={"statuses": [status]})["runsOrError"]["results"]]

    def runs_under_way(self) -> list[str]:
        """The ids of the runs that are queued, begin or run."""
        return [run for status in ("QUEUED", "NOT_STARTED", "STARTING", "STARTED") for run in self.runs(status)]

    def said_by_run(self, run: str) -> str:
        """The messages of a run's events."""
        found = self.ask(_EVENTS_OF_RUN, id=run)["logsForRun"]
        return "\n".join(event["message"] for event in found["events"] if event.get("message"))

    def sensor(self) -> dict[str, Any]:
        """The state of the sensor `collect`."""
        selector = {**_LOCATION, "sensorName": "collect"}
        return dict(self.ask(_SENSOR, selector=selector)["sensorOrError"])

    def switch_collecting(self, *, on: bool) -> None:
        """Turns the switch of the sensor `collect`."""
        if on:
            result = self.ask(_START_SENSOR, selector={**_LOCATION, "sensorName": "collect"})["startSensor"]
        else:
            result = self.ask(_STOP_SENSOR, id=self.sensor()["sensorState"]["id"])["stopSensor"]
        assert "Error" not in result["__typename"], result


@contextmanager
def running_pipeline(installation: Installation, *command: str, port: int | None = None) -> Iterator[Pipeline]:
    """`up`, or another command that runs everything, ready; whatever is left of it at the end is killed."""
    port = port or free_port()
    log = installation.folder / f"up-{port}.log"
    with log.open("w", encoding="utf-8") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "air_pipeline", *(command or ("up",)), "--port", str(port)],
            env=installation.variables,
            cwd=installation.folder,
            stdout=output,
            stderr=output,
            text=True,
            start_new_session=True,
        )
    pipeline = Pipeline(installation, port, process, log)
    try:
        pipeline.wait_until_ready()
        yield pipeline
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
        for left in installation.processes():
            with suppress(psutil.NoSuchProcess):
                left.kill()


def workers_of(build: int) -> list[psutil.Process]:
    """The workers of the process of a build that are there."""
    found = []
    with suppress(psutil.NoSuchProcess):
        for child in psutil.Process(build).children():
            with suppress(psutil.NoSuchProcess):  # it has just ended
                if "spawn_main" in " ".join(child.cmdline()):
                    found.append(child)
    return found


def due_slots(interval_ms: int, first: int, last: int) -> set[int]:
    """The slots from `first` to `last`, both included, ms."""
    return set(range(-(-first // interval_ms) * interval_ms, last + 1, interval_ms))


def has_colour(text: str) -> bool:
    """Whether a text has escape codes of a terminal."""
    return re.search("\x1b\\[", text) is not None


_LOCATION = {"repositoryName": "__repository__", "repositoryLocationName": "air_pipeline"}

_MATERIALIZATIONS = """
query($key: AssetKeyInput!, $limit: Int!) {
  assetNodes(assetKeys: [$key]) {
    assetMaterializations(limit: $limit) { partition metadataEntries { label ...on IntMetadataEntry { intValue } } }
  }
}
"""
_CHECKS = """
query($key: AssetKeyInput!) {
  assetNodes(assetKeys: [$key]) {
    assetChecksOrError { ...on AssetChecks { checks {
      name executionForLatestMaterialization { status evaluation { success description } }
    } } }
  }
}
"""
_BACKFILL = """
mutation($parameters: LaunchBackfillParams!) {
  launchPartitionBackfill(backfillParams: $parameters) {
    __typename ...on LaunchBackfillSuccess { backfillId } ...on PythonError { message }
  }
}
"""
_BACKFILL_STATUS = """
query($id: String!) { partitionBackfillOrError(backfillId: $id) { __typename ...on PartitionBackfill { status } } }
"""
_PARTITIONS = """
query($key: AssetKeyInput!) { assetNodes(assetKeys: [$key]) { partitionStats { numMaterialized } } }
"""
_PARTITION_KEYS = """
query($key: AssetKeyInput!) { assetNodes(assetKeys: [$key]) { partitionKeys } }
"""
_DEFINITION = """
query($key: AssetKeyInput!) { assetNodes(assetKeys: [$key]) {
  metadataEntries { ...on TableSchemaMetadataEntry { schema { columns { name } } } }
  internalFreshnessPolicy { ...on CronFreshnessPolicy { deadlineCron } }
} }
"""
_RUNS = """
query($filter: RunsFilter!) { runsOrError(filter: $filter) { ...on Runs { results { runId } } } }
"""
_EVENTS_OF_RUN = """
query($id: ID!) { logsForRun(runId: $id) { ...on EventConnection { events { ...on MessageEvent { message } } } } }
"""
_SENSOR = """
query($selector: SensorSelector!) {
  sensorOrError(sensorSelector: $selector) { ...on Sensor { sensorState { id status } } }
}
"""
_START_SENSOR = """
mutation($selector: SensorSelector!) {
  startSensor(sensorSelector: $selector) { __typename ...on PythonError { message } }
}
"""
_STOP_SENSOR = """
mutation($id: String!) { stopSensor(id: $id) { __typename ...on PythonError { message } } }
"""
