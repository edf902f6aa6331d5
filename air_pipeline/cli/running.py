"""The command `up`: code server, daemon and webserver on the user's devices, as one thing that starts and stops."""

import contextlib
import errno
import fcntl
import importlib.resources
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING, Annotated

import typer

from air_pipeline.cli.options import ConfigOption, use_config
from air_pipeline.cli.parts import Part, revive, start_part, stop_collector, stop_parts
from air_pipeline.cli.sockets import make_sockets, remove_sockets
from air_pipeline.cli.watching import Watch

if TYPE_CHECKING:
    from air_pipeline.environment import Environment

READY_WITHIN_S = 120.0
PORTS_TRIED = 50
_LOOK_EVERY_S = 0.5
_BACKFILLS_WAIT = ("DAGSTER_BACKFILL_RETRY_DEFINITION_CHANGED_ERROR", "1")
"""A backfill waits for a code server that is being started again, instead of failing."""


class UpError(Exception):
    """`up` cannot start or go on; the message says why and what to do."""


class PortTaken(UpError):
    """Something else listens there."""


def up(
    config: ConfigOption = None,
    host: Annotated[str, typer.Option(help="Address of the UI; keep it local, as the UI has no login.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port of the UI.", min=1, max=65_535)] = 3000,
) -> None:
    """Run everything on your devices: collecting, daily builds and the Dagster UI. Ctrl-C stops all of it.

    Example: air-pipeline up --port 3001
    """
    from air_pipeline.environment import check_store, environment, load_settings, make_state_directory

    use_config(config)
    place = environment()
    check_store(place)
    loaded = load_settings(place)
    if loaded.mistake:
        typer.echo(f"going on with the last valid configuration:\n{loaded.mistake}", err=True)
    make_state_directory(place)
    with only_one(place.state):
        check_free(host, port)
        run(place, host, port, welcome=lambda url: f"The Dagster UI is at {url} — Ctrl-C stops everything. ")


@contextlib.contextmanager
def only_one(state: Path) -> Iterator[None]:
    """Holds the lock of `up` on a state directory."""
    with (state / "up.lock").open("a+", encoding="utf-8") as file:
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
    place: "Environment", host: str, port: int, *, welcome: Callable[[str], str], besides: Sequence[Part] = ()
) -> None:
    """Runs everything until a signal ends it.

    Args:
        place: of which deployment.
        host: address of the UI.
        port: of the UI; free.
        welcome: from the URL of the UI to what is said once it is ready.
        besides: what else is started before all others and stopped after them.

    Raises:
        UpError: something does not start.
    """
    from air_pipeline.environment import keep_log_small

    keep_log_small(place.state / "dagster.log")
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    signal.pthread_sigmask(signal.SIG_UNBLOCK, (signal.SIGINT, signal.SIGTERM))
    home = dagster_home(place)
    sockets = make_sockets(place.state)
    workspace = sockets / "workspace.yaml"
    workspace.write_text(
        f"load_from:\n  - grpc_server:\n      socket: {sockets / 'code'}\n      location_name: air_pipeline\n",
        encoding="utf-8",
    )
    module = ["--module-name", "air_pipeline.definitions", "--location-name", "air_pipeline"]
    parts = [
        Part("code server", ["dagster", "code-server", "start", "--socket", str(sockets / "code"), *module,
                              "--use-python-environment-entry-point", "--log-level", "warning"]),
        Part("webserver", ["dagster_webserver", "--workspace", str(workspace), "--host", host, "--port", str(port),
                            "--dagster-log-level", "warning"]),
        Part("daemon", ["dagster._daemon", "run", "--workspace", str(workspace), "--log-level", "warning"]),
    ]  # fmt: skip
    variables = {**os.environ, **place.variables(), "DAGSTER_HOME": str(home), "PYTHONUNBUFFERED": "1"}
    variables.setdefault(*_BACKFILLS_WAIT)
    with (place.state / "dagster.log").open("ab") as output:
        try:
            _open_storage(home, variables, output, place)
            for part in (*besides, *parts):
                start_part(part, variables, output)
                if part.name == "code server":
                    _wait_for_socket(sockets / "code", part, stop, place)
            url = f"http://{f'[{host}]' if ':' in host else host}:{port}"
            _wait_for_ui(url, [*besides, *parts], stop, place)
            if not stop.is_set():
                (place.state / "ui").write_text(f"{url}\n", encoding="utf-8")
                typer.echo(f"{welcome(url)}Log: {place.state / 'dagster.log'}")
            watch = Watch(place)
            while not stop.wait(_LOOK_EVERY_S):
                revive([*besides, *parts], variables, output)
                for line in watch.news():
                    typer.echo(line, err=True)
        finally:
            typer.echo("stopping", err=True)
            stop_parts(parts)
            stop_collector(place.state)
            stop_parts(besides)
            (place.state / "ui").unlink(missing_ok=True)
            remove_sockets(place.state)


def home_of_dagster(place: "Environment") -> Path:
    """Where Dagster keeps its storage; nothing is made."""
    named = os.environ.get("DAGSTER_HOME")
    return Path(named).expanduser().absolute() if named else place.state / "dagster"


def dagster_home(place: "Environment") -> Path:
    """Where Dagster keeps its storage: DAGSTER_HOME if it is set, else in the state directory, with our settings."""
    home = home_of_dagster(place)
    if os.environ.get("DAGSTER_HOME"):
        return home
    from air_pipeline.environment import make_state_directory

    make_state_directory(place)
    home.mkdir(exist_ok=True)
    settings = importlib.resources.files("air_pipeline").joinpath("dagster.yaml").read_text(encoding="utf-8")
    (home / "dagster.yaml").write_text(settings, encoding="utf-8")
    return home


def check_free(host: str, port: int) -> None:
    """Makes sure that the UI can listen there.

    Raises:
        PortTaken: something else does.
        UpError: it cannot for another reason.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                raise PortTaken(f"port {port} of {host} is taken; choose another with --port") from None
            raise UpError(f"the UI cannot listen at port {port} of {host}: {error.strerror}") from error


def free_port() -> int:
    """A port of this machine that is free now."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


def next_free(host: str, port: int) -> int:
    """The port, or the first free one after it.

    Raises:
        UpError: none of the next ones is, or the host cannot be listened at.
    """
    for candidate in range(port, min(port + PORTS_TRIED, 65_536)):
        try:
            check_free(host, candidate)
        except PortTaken:
            continue
        return candidate
    raise UpError(f"ports {port} to {port + PORTS_TRIED - 1} of {host} are taken; choose another with --port")


def _open_storage(home: Path, variables: dict[str, str], output: IO[bytes], place: "Environment") -> None:
    """Makes Dagster's storage if there is none, before all parts would at once, and tidies it up."""
    opened = subprocess.run(
        [sys.executable, "-m", "air_pipeline.automation.lost_runs"],
        env=variables,
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=output,
        start_new_session=True,
        check=False,
    )
    if opened.returncode:
        raise UpError(f"Dagster's storage in {home} cannot be opened; see {place.state / 'dagster.log'}")


def _wait_for_socket(path: Path, part: Part, stop: threading.Event, place: "Environment") -> None:
    _wait_until(path.exists, [part], stop, place)


def _wait_for_ui(url: str, parts: list[Part], stop: threading.Event, place: "Environment") -> None:
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

    _wait_until(ready, parts, stop, place)


def _wait_until(ready: Callable[[], bool], parts: list[Part], stop: threading.Event, place: "Environment") -> None:
    deadline = time.monotonic() + READY_WITHIN_S
    while not stop.is_set() and not ready():
        for part in parts:
            if part.process is not None and part.process.poll() is not None:
                raise UpError(f"the {part.name} did not start; see {place.state / 'dagster.log'}")
        if time.monotonic() > deadline:
            raise UpError(f"not ready within {READY_WITHIN_S:.0f} s; see {place.state / 'dagster.log'}")
        stop.wait(_LOOK_EVERY_S)
