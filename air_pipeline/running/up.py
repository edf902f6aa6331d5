"""Code server, daemon and webserver on one deployment: started together, watched, and stopped together."""

import contextlib
import fcntl
import json
import os
import signal
import subprocess
import sys
import sysconfig
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import IO

from air_pipeline.environment import Environment
from air_pipeline.instance.home import dagster_home
from air_pipeline.running import UpError
from air_pipeline.running.housekeeping import Housekeeping
from air_pipeline.running.parts import Part, revive, start_part, stop_collector, stop_parts
from air_pipeline.running.sockets import make_sockets, remove_sockets
from air_pipeline.running.watch import Watch
from air_pipeline.state import StateDirectory, keep_log_small

READY_WITHIN_S = 120.0
_LOOK_EVERY_S = 0.5
_BACKFILLS_WAIT = ("DAGSTER_BACKFILL_RETRY_DEFINITION_CHANGED_ERROR", "1")
"""A backfill waits for a code server that is being started again, instead of failing."""


@contextlib.contextmanager
def only_one(state: StateDirectory) -> Iterator[None]:
    """Holds the lock of `up` on a state directory."""
    with state.open(state.up_lock, "a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            pid = file.read() or "?"
            raise UpError(
                f"process {pid} already runs on {state}; stop it first, or choose another AIR_PIPELINE_STATE"
            ) from None
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield


def run(
    environment: Environment,
    host: str,
    port: int,
    *,
    welcome: Callable[[str], None],
    say: Callable[[str], None],
    besides: Sequence[Part] = (),
) -> None:
    """Runs everything until a signal ends it.

    Args:
        environment: of which deployment.
        host: address of the UI.
        port: of the UI; free.
        welcome: told the URL of the UI once it is ready.
        say: told what there is to say from then on, a line or a few at a time.
        besides: what else is started before all others and stopped after them.

    Raises:
        UpError: something does not start.
    """
    keep_log_small(environment.state.dagster_log)
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    signal.pthread_sigmask(signal.SIG_UNBLOCK, (signal.SIGINT, signal.SIGTERM))
    home = dagster_home(environment)
    sockets = make_sockets(environment.state)
    workspace = sockets / "workspace.yaml"
    workspace.write_text(
        f"load_from:\n  - grpc_server:\n      socket: {sockets / 'code'}\n      location_name: air_pipeline\n",
        encoding="utf-8",
    )
    parts = dagster_parts(sockets / "code", workspace, host, port)
    variables = {**os.environ, **environment.variables(), "DAGSTER_HOME": str(home), "PYTHONUNBUFFERED": "1"}
    variables.setdefault(*_BACKFILLS_WAIT)
    with environment.state.open(environment.state.dagster_log, "ab") as output:
        housekeeping = Housekeeping(home, environment.state.dagster_log, variables, output)
        try:
            _open_storage(home, variables, output, environment)
            for part in (*besides, *parts):
                start_part(part, variables, output)
                if part.name == "code server":
                    _wait_for_socket(sockets / "code", part, stop, environment)
            url = f"http://{f'[{host}]' if ':' in host else host}:{port}"
            _wait_for_ui(url, [*besides, *parts], stop, environment)
            if not stop.is_set():
                environment.state.write(environment.state.ui_address, f"{url}\n")
                welcome(url)
            watch = Watch(environment)
            while not stop.wait(_LOOK_EVERY_S):
                housekeeping.work()
                for line in (*revive([*besides, *parts], variables, output), *watch.news()):
                    say(line)
        finally:
            say("stopping")
            housekeeping.stop()
            stop_parts(parts)
            if unfinished := stop_collector(environment.state):
                say(unfinished)
            stop_parts(besides)
            environment.state.ui_address.unlink(missing_ok=True)
            remove_sockets(environment.state)


def dagster_parts(code: Path, workspace: Path, host: str, port: int) -> list[Part]:
    """The processes of Dagster, in the order in which they are started.

    Args:
        code: the socket at which the code server answers, as the workspace says.
        workspace: the file that the others read.
        host: address of the UI.
        port: of the UI.
    """
    scripts = Path(sysconfig.get_path("scripts"))
    workspace_is = ["--workspace", str(workspace)]
    return [
        Part("code server", [sys.executable, str(scripts / "dagster"), "code-server", "start", "--socket", str(code),
                             "--module-name", "air_pipeline.definitions", "--location-name", "air_pipeline",
                             "--use-python-environment-entry-point", "--log-level", "warning"]),
        Part("webserver", [sys.executable, "-m", "air_pipeline.running.webserver", *workspace_is,
                           "--host", host, "--port", str(port), "--dagster-log-level", "warning"]),
        Part("daemon", [sys.executable, str(scripts / "dagster-daemon"), "run", *workspace_is,
                        "--log-level", "warning"]),
    ]  # fmt: skip


def _open_storage(home: Path, variables: dict[str, str], output: IO[bytes], environment: Environment) -> None:
    """Makes Dagster's storage if there is none, or brings it up to date, before all parts would at once."""
    opened = subprocess.run(
        [sys.executable, "-m", "air_pipeline.instance.storage"],
        env=variables,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=output,
        start_new_session=True,
        text=True,
        check=False,
    )
    if opened.returncode:
        why = f"Dagster's storage in {home} cannot be opened; see {environment.state.dagster_log}"
        raise UpError(opened.stdout.strip() or why)


def _wait_for_socket(path: Path, part: Part, stop: threading.Event, environment: Environment) -> None:
    _wait_until(path.exists, [part], stop, environment)


def _wait_for_ui(url: str, parts: list[Part], stop: threading.Event, environment: Environment) -> None:
    """Waits until the UI answers and has loaded the definitions."""
    query = json.dumps({"query": "{workspaceOrError{...on Workspace{locationEntries{loadStatus locationOrLoadError{"
                                 "__typename ...on PythonError{message}}}}}}"}).encode()  # fmt: skip

    def ready() -> bool:
        request = urllib.request.Request(f"{url}/graphql", query, {"Content-Type": "application/json"})  # noqa: S310 -- our own
        try:
            with urllib.request.urlopen(request, timeout=5) as answer:  # noqa: S310 -- our own
                entries = json.load(answer)["data"]["workspaceOrError"]["locationEntries"]
        except (OSError, ValueError, KeyError, urllib.error.URLError):
            return False
        for entry in entries:
            if entry["loadStatus"] == "LOADED" and entry["locationOrLoadError"]["__typename"] == "PythonError":
                raise UpError(f"the definitions cannot be loaded: {entry['locationOrLoadError']['message'].strip()}")
        return bool(entries) and all(entry["loadStatus"] == "LOADED" for entry in entries)

    _wait_until(ready, parts, stop, environment)


def _wait_until(ready: Callable[[], bool], parts: list[Part], stop: threading.Event, environment: Environment) -> None:
    deadline = time.monotonic() + READY_WITHIN_S
    while not stop.is_set() and not ready():
        for part in parts:
            if part.process is not None and part.process.poll() is not None:
                raise UpError(f"the {part.name} did not start; see {environment.state.dagster_log}")
        if time.monotonic() > deadline:
            raise UpError(f"not ready within {READY_WITHIN_S:.0f} s; see {environment.state.dagster_log}")
        stop.wait(_LOOK_EVERY_S)
