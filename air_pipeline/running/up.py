"""Code server, daemon and webserver on one deployment: started together, watched, and stopped together."""

import contextlib
import fcntl
import os
import signal
import subprocess
import sys
import sysconfig
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import IO

from air_pipeline.environment import Environment
from air_pipeline.instance.home import dagster_home
from air_pipeline.running import UpError
from air_pipeline.running.asking_ui import LOCATION, are_definitions_loaded, load_definitions_again
from air_pipeline.running.hosts import BEHIND_PROXY, url_of
from air_pipeline.running.housekeeping import Housekeeping
from air_pipeline.running.parts import Part, revive, start_part, stop_collector, stop_parts
from air_pipeline.running.sockets import make_sockets, remove_sockets
from air_pipeline.running.watch import Watch
from air_pipeline.state import StateDirectory, keep_log_small

READY_WITHIN_S = 120.0
LOOK_EVERY_S = 0.5
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
    behind_proxy: frozenset[str],
    welcome: Callable[[str], None],
    say: Callable[[str], None],
    besides: Sequence[Part] = (),
) -> None:
    """Runs everything until a signal ends it.

    Args:
        environment: of which deployment.
        host: address of the UI.
        port: of the UI; free.
        behind_proxy: the names under which proxies pass requests on to it.
        welcome: told the URL of the UI once it is ready.
        say: told what there is to say from then on, a line or a few at a time.
        besides: what else is started before all others and stopped after them.

    Raises:
        UpError: something does not start.
    """
    keep_log_small(environment.state.dagster_log)
    stop = stopped_by_signals()
    home = dagster_home(environment)
    sockets = make_sockets(environment.state)
    workspace = sockets / "workspace.yaml"
    workspace.write_text(
        f"load_from:\n  - grpc_server:\n      socket: {sockets / 'code'}\n      location_name: {LOCATION}\n",
        encoding="utf-8",
    )
    parts = dagster_parts(sockets / "code", workspace, host, port)
    variables = variables_of_parts(environment, home, behind_proxy)
    variables.setdefault(*_BACKFILLS_WAIT)
    with environment.state.open(environment.state.dagster_log, "ab") as output:
        housekeeping = Housekeeping(home, environment.state.dagster_log, variables, output)
        try:
            _open_storage(home, variables, output, environment)
            for part in (*besides, *parts):
                start_part(part, variables, output)
                if part.name == "code server":
                    _wait_for_socket(sockets / "code", part, stop, environment)
            url = url_of(host, port)
            wait_for_ui(url, [*besides, *parts], stop, environment)
            if not stop.is_set():
                environment.state.write(environment.state.ui_address, f"{url}\n")
                welcome(url)
            watch = Watch(environment)
            while not stop.wait(LOOK_EVERY_S):
                housekeeping.work()
                for line in (*revive([*besides, *parts], variables, output), *watch.news()):
                    say(line)
                if watch.settings_changed():
                    load_definitions_again(url)
        finally:
            say("stopping")
            housekeeping.stop()
            stop_parts(parts)
            if unfinished := stop_collector(environment.state):
                say(unfinished)
            stop_parts(besides)
            environment.state.ui_address.unlink(missing_ok=True)
            remove_sockets(environment.state)


def stopped_by_signals() -> threading.Event:
    """What is set when somebody wants this process to end."""
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    signal.pthread_sigmask(signal.SIG_UNBLOCK, (signal.SIGINT, signal.SIGTERM))
    return stop


def variables_of_parts(environment: Environment, home: Path, behind_proxy: frozenset[str]) -> dict[str, str]:
    """The whole environment of the processes that are started."""
    return {
        **os.environ,
        **environment.variables(),
        "DAGSTER_HOME": str(home),
        "PYTHONUNBUFFERED": "1",
        BEHIND_PROXY: " ".join(sorted(behind_proxy)),
    }


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
                             "--module-name", "air_pipeline.definitions", "--location-name", LOCATION,
                             "--use-python-environment-entry-point", "--log-level", "warning"]),
        webserver(workspace, host, port),
        Part("daemon", [sys.executable, str(scripts / "dagster-daemon"), "run", *workspace_is,
                        "--log-level", "warning"]),
    ]  # fmt: skip


def webserver(workspace: Path, host: str, port: int, *options: str) -> Part:
    """The UI's server, for a workspace, with options of Dagster's own command."""
    program = [sys.executable, "-m", "air_pipeline.running.webserver", "--workspace", str(workspace)]
    where = ["--host", host, "--port", str(port)]
    return Part("webserver", [*program, *where, "--dagster-log-level", "warning", *options])


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


def wait_for_ui(url: str, parts: list[Part], stop: threading.Event, environment: Environment) -> None:
    """Waits until the UI answers and has loaded the definitions.

    Raises:
        UpError: it does not, has none, or lets in who should not get in.
    """
    _wait_until(lambda: are_definitions_loaded(url), parts, stop, environment)


def _wait_until(ready: Callable[[], bool], parts: list[Part], stop: threading.Event, environment: Environment) -> None:
    deadline = time.monotonic() + READY_WITHIN_S
    while not stop.is_set() and not ready():
        for part in parts:
            if part.process is not None and part.process.poll() is not None:
                raise UpError(f"the {part.name} did not start; see {environment.state.dagster_log}")
        if time.monotonic() > deadline:
            raise UpError(f"not ready within {READY_WITHIN_S:.0f} s; see {environment.state.dagster_log}")
        stop.wait(LOOK_EVERY_S)
