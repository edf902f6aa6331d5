"""Telegraf as a peer of the collector: the same stations, an InfluxDB bucket of its own, as it is usually configured.

Belongs here: how it is found, configured and run. Does not: what it is measured beside (`collecting`).
"""

import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import psutil

from air_pipeline.catalogue import STATION
from air_pipeline.devices.kinds.nodemcu import FIRMWARE_KEY
from air_pipeline.settings import InfluxConnection
from air_pipeline_tests.influxdb_server import InfluxServer

HOW = "AIR_PIPELINE_TELEGRAF=/usr/bin/telegraf, or one on the PATH, brings it"
CONFIGURATION = """
[agent]
  interval = "{interval_s}s"
  round_interval = true
  flush_interval = "{interval_s}s"
  omit_hostname = true
  quiet = true
[[outputs.influxdb_v2]]
  urls = ["{connection.url}"]
  token = "{connection.token}"
  organization = "{connection.org}"
  bucket = "{connection.bucket}"
[[inputs.http]]
  urls = [{urls}]
  timeout = "5s"
  data_format = "json_v2"
  [[inputs.http.json_v2]]
    measurement_name = "air"
"""
FIELD = """
    [[inputs.http.json_v2.field]]
      path = "{path}"
      rename = "{name}"
      type = "float"
"""


def binary() -> str | None:
    """Where Telegraf is, if it is here."""
    return os.environ.get("AIR_PIPELINE_TELEGRAF") or shutil.which("telegraf")


def version(telegraf: str) -> str:
    """Its name and number."""
    return subprocess.run([telegraf, "--version"], capture_output=True, text=True, check=True).stdout.strip()


@contextmanager
def polling(
    telegraf: str, urls: Sequence[str], interval_s: int, connection: InfluxConnection, folder: Path
) -> Iterator[psutil.Process]:
    """Telegraf while it asks all stations in each interval and writes what they say."""
    fields = (
        FIELD.format(path=f"{FIRMWARE_KEY}.{parameter.sensor_key}.{parameter.key}", name=parameter.series)
        for parameter in STATION
    )
    quoted = ", ".join(f'"{url}"' for url in urls)
    text = CONFIGURATION.format(interval_s=interval_s, connection=connection, urls=quoted) + "".join(fields)
    file = folder / "telegraf.conf"
    file.write_text(text, encoding="utf-8")
    process = subprocess.Popen([telegraf, "--config", str(file)], stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    try:
        yield psutil.Process(process.pid)
    finally:
        process.terminate()
        process.wait()


def stored(influxdb: InfluxServer, bucket: str) -> int:
    """How many polls it has stored: such as have the last of the fields."""
    query = f"SELECT count({STATION[-1].series}) FROM air"  # noqa: S608
    answer = influxdb.api("GET", "/query", params={"db": bucket, "q": query})
    [result] = answer["results"]
    return int(result["series"][0]["values"][0][1]) if "series" in result else 0
