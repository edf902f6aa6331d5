"""An InfluxDB of the benchmarks' own, or a line that says what is left out without one.

Belongs here: where it is found, its start and end. Does not: Telegraf's configuration (`telegraf`).
"""

import os
import shutil
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from air_pipeline_tests.influxdb_server import OwnInfluxServer

HOW = "AIR_PIPELINE_INFLUXD=$(.ci/build-influxd) brings it"


@contextmanager
def influxdb(folder: Path, left_out: str) -> Iterator[OwnInfluxServer | None]:
    """A server in a folder to be made, for as long as the block; None, with a line, where there is no binary."""
    binary = os.environ.get("AIR_PIPELINE_INFLUXD") or shutil.which("influxd")
    if binary is None or not os.access(binary, os.X_OK):
        print(f"without InfluxDB {left_out}: {HOW}", flush=True)
        yield None
        return
    folder.mkdir()
    with closing(OwnInfluxServer(binary, folder)) as server:
        yield server
