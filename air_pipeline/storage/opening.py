"""Which reading store a deployment uses."""

from pathlib import Path

from air_pipeline.settings import InfluxConnection
from air_pipeline.storage.influxdb import InfluxStore
from air_pipeline.storage.sqlite import SqliteStore
from air_pipeline.storage.store import ReadingStore

EMBEDDED_FILE = "readings.sqlite"


def open_store(connection: InfluxConnection | None, state: Path) -> ReadingStore:
    """InfluxDB if a connection is given, else the embedded store in the state directory. Opens nothing yet."""
    return SqliteStore(state / EMBEDDED_FILE) if connection is None else InfluxStore(connection)
