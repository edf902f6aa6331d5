"""Which reading store a deployment uses."""

from air_pipeline.settings import InfluxConnection
from air_pipeline.state import StateDirectory
from air_pipeline.storage.sqlite import SqliteStore
from air_pipeline.storage.store import ReadingStore


def open_store(
    connection: InfluxConnection | None, state: StateDirectory, within_s: float | None = None
) -> ReadingStore:
    """InfluxDB if a connection is given, else the embedded store in the state directory. Opens nothing yet.

    Args:
        connection: of InfluxDB.
        state: the state directory.
        within_s: how long an answer may take, where somebody waits for it; else as long as large answers need.
    """
    if connection is None:
        return SqliteStore(state.readings)
    # The definitions are spared it where there is no InfluxDB.
    from air_pipeline.storage.influxdb import InfluxStore

    return InfluxStore(connection) if within_s is None else InfluxStore(connection, *3 * [within_s])
