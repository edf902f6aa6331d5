"""Whether `up` runs here, and its UI answers."""

import fcntl
import urllib.error
import urllib.request
from collections.abc import Iterator

from air_pipeline.health import Finding, check, failure, fine, warning
from air_pipeline.health.seen import Seen
from air_pipeline.settings import SettingsError
from air_pipeline.state import StateDirectory

UI_WITHIN_S = 5.0


@check(
    means="`air-pipeline up` runs here, and its UI answers.",
    remedy="air-pipeline up; or none, if Dagster is run in another way",
    title="up",
)
def up_running(seen: Seen) -> Iterator[Finding]:
    """Whether `up` runs here, and its UI answers."""
    state = seen.environment.state
    pid = _pid_of_up(state)
    if pid is None:
        external = seen.deployment.settings.collector == "external"
        yield (fine if external else warning)("does not run here")
        return
    url = ui_address(state)
    if not url:
        yield warning(f"process {pid} runs, and its UI is not ready yet", "wait a minute")
        return
    try:
        with urllib.request.urlopen(f"{url}/server_info", timeout=UI_WITHIN_S):  # noqa: S310 -- our own
            yield fine(f"process {pid}, its UI is at {url}")
    except (OSError, urllib.error.URLError) as error:
        remedy = f"see {state.dagster_log}; if it does not come back, stop up and start it again"
        yield failure(f"process {pid} runs, and its UI at {url} does not answer ({error})", remedy)


def _pid_of_up(state: StateDirectory) -> str | None:
    """The process that holds the lock of `up`; None if none does."""
    try:
        with state.open(state.up_lock, "r") as file:
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
        return state.read(state.ui_address)
    except SettingsError:
        return ""
