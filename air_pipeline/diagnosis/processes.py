"""Which of the program's processes run: the collector, `up` and its UI."""

import fcntl
import urllib.error
import urllib.request
from collections.abc import Iterator
from datetime import datetime

from air_pipeline.collection.lease import holder, lease_holds
from air_pipeline.diagnosis import Finding, Level
from air_pipeline.environment import Environment
from air_pipeline.settings import Settings
from air_pipeline.state import StateDirectory

UI_WITHIN_S = 5.0


def look_at_collector(environment: Environment, settings: Settings) -> Iterator[Finding]:
    """Whether a collector runs; where one never did, that is no failure yet."""
    running = holder(environment.state)
    if running is not None:
        since = datetime.fromtimestamp(running.since, settings.zone).isoformat(sep=" ", timespec="seconds")
        yield Finding("collector", Level.OK, f"process {running.pid}, since {since}")
        return
    if settings.collector == "external":
        remedy = "devices.yaml says collector: external, so start air-pipeline collect"
    elif lease_holds(environment.state):  # so the sensor wants it
        remedy = f"Dagster wants one and it does not stay up: see {environment.state.collector_log}"
    else:
        remedy = "air-pipeline up starts one, while the sensor collect is on"
    began = environment.state.outbox.exists()
    level = Level.FAILURE if began else Level.WARNING
    yield Finding("collector", level, "none runs: devices are not polled", remedy)


def look_at_up(environment: Environment, settings: Settings) -> Iterator[Finding]:
    """Whether `up` runs here, and its UI answers."""
    pid = _pid_of_up(environment.state)
    if pid is None:
        external = settings.collector == "external"
        level = Level.OK if external else Level.WARNING
        remedy = "" if external else "air-pipeline up; or none, if Dagster is run in another way"
        yield Finding("up", level, "does not run here", remedy)
        return
    url = ui_address(environment.state)
    if not url:
        yield Finding("up", Level.WARNING, f"process {pid} runs, and its UI is not ready yet", "wait a minute")
        return
    try:
        with urllib.request.urlopen(f"{url}/server_info", timeout=UI_WITHIN_S):  # noqa: S310 -- our own
            yield Finding("up", Level.OK, f"process {pid}, its UI is at {url}")
    except (OSError, urllib.error.URLError) as error:
        remedy = f"see {environment.state.dagster_log}; if it does not come back, stop up and start it again"
        yield Finding("up", Level.FAILURE, f"process {pid} runs, and its UI at {url} does not answer ({error})", remedy)


def _pid_of_up(state: StateDirectory) -> str | None:
    """The process that holds the lock of `up`; None if none does."""
    try:
        with state.up_lock.open(encoding="utf-8") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return file.read() or "?"
    except (FileNotFoundError, NotADirectoryError):
        pass
    return None


def ui_address(state: StateDirectory) -> str:
    """Where the UI of `up` said that it is; empty if it is not ready."""
    try:
        return state.ui_address.read_text(encoding="utf-8").strip()
    except OSError:
        return ""
