"""Makes old-state.tar.xz: a state directory as version 1 left it when its machine lost power, with `devices.yaml`.

How it was made, from the commit of 2026-11-23 "The test of a locked store waits no longer than it means to" (ece56ce),
with the packages of requirements.lock, which has the same Dagster:

    git archive ece56ce | tar x -C /tmp/old
    cd air_pipeline_tests/upgrading && PYTHONPATH=/tmp/old python make_old_state.py old-state.tar.xz

Two devices, three days from their readings every ten minutes, built by `air-pipeline build`; then `air-pipeline up`,
which polls them every second. Its store is locked by another program, so that polls wait; a message waits for somebody
who does not listen. Then everything is killed at once.
"""

import os
import signal
import sqlite3
import subprocess
import sys
import tarfile
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from zoneinfo import ZoneInfo

import psutil

import air_pipeline
from air_pipeline.devices.simulator import Profile, Simulator
from air_pipeline.devices.simulator.history import polls_between
from air_pipeline.processing.local_time import day_window, epoch_ms
from air_pipeline.settings.file import read_settings
from air_pipeline.storage.sqlite import SqliteStore

DEVICES = ("attic", "cellar")
DAYS = 3


def wait_until(holds: Callable[[], object], what: str) -> None:
    end = time.monotonic() + 300
    while not holds():
        if time.monotonic() > end:
            raise SystemExit(f"waited in vain for {what}")
        time.sleep(0.2)


def count(file: Path, query: str) -> int:
    with closing(sqlite3.connect(file)) as connection:
        return int(connection.execute(query).fetchone()[0])


def main(target: Path) -> None:
    sys.stdout.write(f"made by {air_pipeline.__file__}\n")
    with TemporaryDirectory() as made, Simulator(DEVICES) as simulator:
        folder = Path(made)
        state, config = folder / "state", folder / "devices.yaml"
        start = datetime.now(ZoneInfo("Europe/Warsaw")).date() - timedelta(days=DAYS)
        config.write_text(
            f"timezone: Europe/Warsaw\nstart: {start}\ninterval: 1s\ndevices:\n"
            + "".join(f"  - id: {name}\n    url: {simulator.url(name)}\n" for name in DEVICES)
            + "notify:\n  webhook: http://127.0.0.1:9/nobody\n  wait: 0s\n"
        )
        settings = read_settings(config)
        with closing(SqliteStore(state / "readings.sqlite")) as store:
            for day in (start + timedelta(days=number) for number in range(DAYS)):
                edges = (epoch_ms(edge) for edge in day_window(day, settings.zone))
                first, last = edges
                for device in settings.devices:
                    past = replace(device, interval_ms=600_000)
                    store.write(list(polls_between(past, Profile(device.id), first, last)))
        variables = {**os.environ, "AIR_PIPELINE_CONFIG": str(config), "AIR_PIPELINE_STATE": str(state)}
        command = [sys.executable, "-m", "air_pipeline"]
        subprocess.run([*command, "build"], env=variables, cwd=folder, check=True)
        up = subprocess.Popen([*command, "up", "--port", "38123"], env=variables, cwd=folder, start_new_session=True)
        outbox = state / "outbox.sqlite"
        wait_until(lambda: outbox.exists() and (state / "collector.lease").exists(), "a collector")
        wait_until(lambda: count(state / "readings.sqlite", "SELECT count(*) FROM poll") > 900, "polls in the store")
        with closing(sqlite3.connect(state / "readings.sqlite")) as lock:
            lock.execute("BEGIN IMMEDIATE")
            wait_until((state / "notified.json").exists, "a message")
            wait_until(lambda: '"message"' in (state / "notified.json").read_text(), "a message that waits")
            wait_until(lambda: count(outbox, "SELECT count(*) FROM outbox") > 50, "polls that wait")
            for process in psutil.process_iter():
                try:
                    if process.environ().get("AIR_PIPELINE_STATE") == str(state):
                        process.send_signal(signal.SIGKILL)
                except psutil.Error:
                    continue
            up.wait()
        with tarfile.open(target, "w:xz", preset=9) as archive:
            for path in sorted(folder.rglob("*")):
                if path.is_file() and not path.is_socket():
                    archive.add(path, path.relative_to(folder))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
