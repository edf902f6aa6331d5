"""Buckets of others on a real InfluxDB: what ahttpdc and Telegraf write, into days that are right in local time."""

import json
import os
import shutil
import subprocess
import venv
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from threading import Thread
from zoneinfo import ZoneInfo

import pytest

from air_pipeline.devices.polls import Outcome, Poll
from air_pipeline.processing.local_time import epoch_ms
from air_pipeline.storage.influxdb import InfluxStore
from air_pipeline.storage.store import Summary
from air_pipeline_tests.cli.in_this_process import in_this_process
from air_pipeline_tests.influxdb_server import InfluxServer
from air_pipeline_tests.waiting import WITHIN_S

pytestmark = pytest.mark.influxdb

WARSAW = ZoneInfo("Europe/Warsaw")
PACE = timedelta(seconds=11.37)
SETTINGS = """
timezone: {zone}
start: {start}
devices:
  - id: hall
    url: http://127.0.0.1:9/circumstances
"""


class Home:
    """A deployment whose readings are in a bucket of its own, beside the bucket of somebody else."""

    def __init__(self, path, server: InfluxServer, monkeypatch, capsys, zone="Europe/Warsaw", start="2026-10-01"):
        self.path, self.server, self.monkeypatch, self.capsys = path, server, monkeypatch, capsys
        (path / "devices.yaml").write_text(SETTINGS.format(zone=zone, start=start))
        self.old, self.ours = server.make_bucket(), server.make_bucket()
        monkeypatch.setenv("AIR_PIPELINE_STATE", str(path / "state"))
        monkeypatch.setenv("AIR_PIPELINE_CONFIG", str(path / "devices.yaml"))
        for name, value in (("URL", server.url), ("TOKEN", server.token), ("ORG", server.org), ("BUCKET", self.ours)):
            monkeypatch.setenv(f"INFLUXDB_V2_{name}", value)

    def write(self, lines):
        for first in range(0, len(lines), 5_000):
            some = "\n".join(lines[first : first + 5_000])
            place = {"org": self.server.org, "bucket": self.old, "precision": "ms"}
            self.server.api("POST", "/api/v2/write", params=place, data=some.encode())

    def __call__(self, *arguments):
        status, out, err = in_this_process(self.monkeypatch, self.capsys, *arguments)
        assert status == 0, err
        return out

    def rows(self, *arguments):
        return [json.loads(row) for row in self(*arguments, "--json").splitlines()]

    def store(self):
        return InfluxStore(self.server.connection(self.ours))


@pytest.fixture
def home(tmp_path, influxdb, monkeypatch, capsys):
    return Home(tmp_path, influxdb, monkeypatch, capsys)


def two_nights():
    """The instants at which ahttpdc stored, from noon before the autumn night of Warsaw until noon after it."""
    at, end = datetime(2026, 10, 24, 12, tzinfo=WARSAW), datetime(2026, 10, 26, 0, tzinfo=WARSAW)
    at, end = at.astimezone(UTC), end.astimezone(UTC)
    while at < end:
        yield at
        at += PACE


def test_what_ahttpdc_wrote_makes_days_that_are_right_in_local_time(home):
    """The value is the local hour, so that an hour whose mean is not its own is seen; the long day has its 25 hours."""
    lines = [
        f"sensor_data,device=nodemcu temperature={at.astimezone(WARSAW).hour}.0,humidity=40.5 {epoch_ms(at)}"
        for at in two_nights()
    ]
    home.write(lines)
    said = home("import", "--as", "ahttpdc", "--bucket", home.old, "--device", "hall")
    assert f"{len(lines)} rows → " in said
    assert "series: ahttpdc_temperature (°C), dht22_humidity (%)" in said
    assert "every 11 s, in 1 stretch" in said
    home("import", "--as", "ahttpdc", "--bucket", home.old, "--device", "hall", "--yes")
    hours = home.rows("hourly", "--from", "2026-10-24", "--to", "2026-10-26")
    of_temperature = [row for row in hours if row["series"] == "ahttpdc_temperature"]
    sunday = [row for row in of_temperature if row["hour_start_local"].startswith("2026-10-25")]
    assert len(sunday) == 25
    assert {row["coverage"] > 0.95 for row in sunday} == {True}
    for row in of_temperature:
        if row["valid_count"]:
            # A slot has the row that came up to one slot later: at most the last one of an hour is the next one's.
            assert row["mean"] == pytest.approx(datetime.fromisoformat(row["hour_start_local"]).hour, abs=0.2)
    days = home.rows("daily", "--from", "2026-10-24", "--to", "2026-10-26")
    assert {(row["date"], row["hours_in_day"]) for row in days} == {("2026-10-24", 24.0), ("2026-10-25", 25.0)}
    # Saturday's morning was before ahttpdc began: nothing was expected then.
    assert {row["expected_count"] for row in days if row["date"] == "2026-10-24"} <= {3927, 3928, 3929}


def test_of_telegraf_one_device_is_taken_by_its_tag_and_taken_back_by_its_id(home):
    start = datetime(2026, 10, 20, tzinfo=UTC)
    lines = [
        f"http,host=pi,url=http://192.168.1.{number}/circumstances"
        f" nodemcu_dht22_temperature={20 + number},nodemcu_mq135_aceton=0.3 {epoch_ms(start) + 10_000 * n}"
        for number in (32, 33)
        for n in range(100)
    ]
    home.write(lines)
    said = home("import", "--as", "telegraf", "--bucket", home.old, "--device", "hall")
    assert "2 kinds of points are taken as one device's (say which with where:" in said
    mapping = home.path / "one.yaml"
    mapping.write_text("like: telegraf\ndevice: hall\nwhere: {url: 'http://192.168.1.33/circumstances'}\n")
    said = home("import", "--as", str(mapping), "--bucket", home.old, "--yes")
    assert "100 rows → 100 polls with 200 values" in said
    store, span = home.store(), (epoch_ms(start), epoch_ms(start) + 86_400_000)
    readings = store.readings("hall", *span)
    assert sorted(readings) == ["dht22_temperature", "mq135_acetone"]
    assert set(readings["dht22_temperature"]) == {53.0}
    [one] = store.imports(*span)["hall"]
    home("import", "--undo", one, "--yes")
    assert store.imports(*span) == {}
    assert store.summaries(*span) == {}
    # It goes as well where late polls of ours have all of its slots, so that nothing of it is counted.
    first, *late = [
        Poll("hall", at, Outcome.OK, 40.0, 10.0, values={"dht22_temperature": 21.0})
        for at in range(epoch_ms(start) - 10_000, epoch_ms(start) + 1_000_000, 10_000)
    ]
    store.write([first])
    home("import", "--as", str(mapping), "--bucket", home.old, "--yes")
    [one] = store.imports(*span)["hall"]
    store.write(late)
    assert store.imports(*span) == {}
    assert store.summaries(*span)["hall"] == Summary(100, 4_000.0, 100)
    home("import", "--undo", one, "--yes")
    theirs = f'from(bucket: "{home.ours}") |> range(start: 0) |> filter(fn: (r) => exists r["import"])'
    assert store.flux(theirs).empty
    store.close()


def test_of_telegraf_fields_are_taken_as_its_configuration_named_them(home):
    start = epoch_ms(datetime(2026, 10, 20, tzinfo=UTC))
    home.write(
        [f"air,url=http://x/ outside=21,dht22_humidity=40,mq135_aceton=0.3 {start + 10_000 * n}" for n in range(100)]
    )
    mapping = home.path / "named.yaml"
    mapping.write_text(
        "like: telegraf-json_v2\ndevice: hall\ninfluxdb: {measurement: air}\n"
        "columns:\n  outside: {series: dht22_temperature, unit: °C}\n  dht22_temperature: null\n",
        encoding="utf-8",
    )
    said = home("import", "--as", str(mapping), "--bucket", home.old, "--yes")
    assert "100 rows → 100 polls with 300 values" in said
    store = home.store()
    readings = store.readings("hall", start, start + 86_400_000)
    assert readings.iloc[0].to_dict() == {"dht22_humidity": 40.0, "dht22_temperature": 21.0, "mq135_acetone": 0.3}
    store.close()


def test_a_measurement_that_is_called_as_one_of_ours_is_read_with_all_of_its_tags(home):
    start = epoch_ms(datetime(2026, 10, 20, tzinfo=UTC))
    home.write([f"air,host=pi,device=x,import=y nodemcu_dht22_temperature=21 {start + 10_000 * n}" for n in range(100)])
    mapping = home.path / "air.yaml"
    mapping.write_text("like: telegraf\ndevice: hall\ninfluxdb: {measurement: air}\n")
    said = home("import", "--as", str(mapping), "--bucket", home.old, "--yes")
    assert "100 rows → 100 polls with 100 values" in said


def test_fields_and_buckets_that_are_not_there_are_said(home):
    home.write(["weather,place=roof rain=1.0 1795000000000"])

    def said(*arguments):
        status, _, err = in_this_process(
            home.monkeypatch, home.capsys, "import", "--as", "telegraf", "--device", "hall", *arguments
        )
        assert status == 1
        return err

    assert "no field of measurement 'http' is one that telegraf names: there is nothing of it" in said(
        "--bucket", home.old
    )
    assert "has no bucket 'nowhere' that this token can read" in said("--bucket", "nowhere")


AHTTPDC = """
import asyncio, json, sys
from ahttpdc.read.database_interface import DatabaseInterface
from ahttpdc.read.query.interface import AsyncQuery

sensors = {"dht22": ["temperature", "humidity"], "bmp180": ["pressure"]}
port, influx_port, token, org, bucket, number = sys.argv[1:]
store = ("localhost", influx_port, token, org, bucket)

async def collect():
    daemon = DatabaseInterface(sensors, *store, "127.0.0.1", port, "circumstances", interval=1).daemon
    for _ in range(int(number)):
        await asyncio.sleep(daemon.interval)
        await daemon._fetch_to_db()

async def read():
    url = f"http://localhost:{influx_port}"
    return await AsyncQuery(sensors, url, token, org, bucket).historical("-1h")

asyncio.run(collect())
frame = asyncio.run(read())
temperature = {at.value // 1_000_000: value for at, value in frame["temperature"].items()}
print(json.dumps({"columns": sorted(map(str, frame.columns)), "temperature": temperature, "rows": len(frame)}))
"""


@contextmanager
def rising():
    """A station of which every answer is warmer than the one before; its port."""
    numbers = count()

    class Station(BaseHTTPRequestHandler):
        def do_GET(self):
            said = 20.0 + next(numbers)
            values = {"dht22": {"temperature": said, "humidity": said}, "bmp180": {"pressure": 980 + said}}
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.end_headers()
            self.wfile.write(json.dumps({"nodemcu": values}).encode())

        def log_message(self, *_):
            """Says nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Station) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server.server_port
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture(scope="module")
def python_with_ahttpdc(tmp_path_factory):
    """A Python that has ahttpdc from the package registry."""
    place = tmp_path_factory.mktemp("ahttpdc")
    venv.create(place, with_pip=True)
    python = place / "bin" / "python"
    wanted = [python, "-m", "pip", "install", "--quiet", "async-httpd-data-collector==2.0.6"]
    if subprocess.run(wanted, capture_output=True, timeout=WITHIN_S, check=False).returncode:
        pytest.skip("ahttpdc cannot be installed here")
    yield python
    shutil.rmtree(place, ignore_errors=True)


@pytest.mark.slow
def test_what_ahttpdc_itself_writes_is_imported_value_by_value(
    python_with_ahttpdc, tmp_path, influxdb, monkeypatch, capsys
):
    """Where the date is another than in UTC for half of the day: the days are those of the zone."""
    zone = ZoneInfo("Pacific/Auckland")
    today = datetime.now(zone).date()
    home = Home(tmp_path, influxdb, monkeypatch, capsys, zone.key, str(today - timedelta(days=1)))
    number = 8
    with rising() as port:
        arguments = [str(port), influxdb.url.rpartition(":")[2], influxdb.token, influxdb.org, home.old, str(number)]
        ran = subprocess.run(
            [python_with_ahttpdc, "-c", AHTTPDC, *arguments],
            capture_output=True,
            text=True,
            timeout=WITHIN_S,
            check=False,
            env={**os.environ, "TZ": "UTC"},
        )
    assert ran.returncode == 0, ran.stderr
    of_ahttpdc = json.loads(ran.stdout.splitlines()[-1])
    old = InfluxStore(influxdb.connection(home.old))
    found = old.flux(f'from(bucket: "{home.old}") |> range(start: -1h) |> filter(fn: (r) => r._field == "temperature")')
    old.close()
    written = dict(zip(found["_time"].astype("datetime64[ms, UTC]").astype("int64"), found["_value"], strict=True))
    assert len(written) == number
    home("import", "--as", "ahttpdc", "--bucket", home.old, "--device", "hall", "--yes")
    store = home.store()
    readings = store.readings("hall", min(written) - 60_000, max(written) + 60_000)
    polls = store.polls("hall", min(written) - 60_000, max(written) + 60_000)
    store.close()
    slots = readings.index.as_unit("ms").asi8.tolist()
    interval = int(polls["interval_s"].iloc[0] * 1000)
    by_slot = {(at + interval // 4) // interval * interval: value for at, value in sorted(written.items())}
    assert dict(zip(slots, readings["ahttpdc_temperature"], strict=True)) == by_slot
    live = home.rows("observations", "--from", str(today - timedelta(days=1)))
    local = {row["local_time"][:10] for row in live if row["value"] is not None}
    assert local == {str(datetime.fromtimestamp(at / 1000, zone).date()) for at in slots}
    assert of_ahttpdc["rows"] == number
    read = {int(at): value for at, value in of_ahttpdc["temperature"].items()}
    assert (read.keys(), sorted(read.values())) == (written.keys(), sorted(written.values()))
    moved = sum(value != read[at] for at, value in written.items())
    assert moved >= 2  # its own reader takes times from a set: that all are right is a chance of 1 in 8!
    assert {"temperature", "humidity", "pressure"} <= set(of_ahttpdc["columns"])
