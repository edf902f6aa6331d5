"""The servers of many machines, real ones on free ports of loopback: PostgreSQL, Redis, an object store."""

import os
import shutil
import signal
import socket
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import psycopg2

from air_pipeline_tests.needs import go_without
from air_pipeline_tests.running_pipeline import free_port
from air_pipeline_tests.waiting import WITHIN_S, wait_for

_NOBODY = ("setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups")
"""PostgreSQL refuses to be run by root."""


class Server:
    """A process that listens at a port, which a test may kill and start again with what it has kept."""

    def __init__(self, name: str, command: Sequence[str], port: int, folder: Path) -> None:
        self.name = name
        self.port = port
        self._command = list(command)
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Starts it, and waits until somebody listens at its port."""
        with (self._folder / f"{self.name}.log").open("ab") as log:
            self._process = subprocess.Popen(
                self._command, stdout=log, stderr=log, cwd=self._folder, start_new_session=True
            )
        wait_for(self._listens, self.name)

    def kill(self) -> None:
        """Ends it, and what it started, at once."""
        process, self._process = self._process, None
        if process is not None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait(WITHIN_S)

    def pause(self) -> None:
        """From now on it accepts connections and says nothing, until it is killed."""
        if self._process is not None:
            self._process.send_signal(signal.SIGSTOP)

    def stop(self) -> None:
        """Ends it in order."""
        process, self._process = self._process, None
        if process is not None:
            process.send_signal(signal.SIGINT)
            process.wait(WITHIN_S)

    def _listens(self) -> bool:
        if self._process is not None and self._process.poll() is not None:
            log = (self._folder / f"{self.name}.log").read_text(errors="replace")
            raise RuntimeError(f"{self.name} ended with {self._process.returncode}:\n{log[-2000:]}")
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0


def needed(name: str) -> str:
    """The path of a program; the test is skipped where it is not there (in CI: fails)."""
    found = shutil.which(name) or next(map(str, sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"))), None)
    if found is None:
        go_without(f"{name} is not there; .ci/run installs it by apt")
    return found


@contextmanager
def running_postgres() -> Iterator[dict[str, str]]:
    """A PostgreSQL with an empty database; gives the variables that name it in deploy/many/dagster.yaml."""
    as_nobody = _NOBODY if os.geteuid() == 0 else ()
    with TemporaryDirectory(prefix="postgres-") as home:  # where nobody gets to: in no folder of the tests
        folder, port = Path(home), free_port()
        if as_nobody:
            shutil.chown(folder, "nobody", "nogroup")
        made = [needed("initdb"), "--pgdata", f"{home}/data", "--username=air", "--auth=trust", "--no-sync"]
        subprocess.run([*as_nobody, *made, "--encoding=UTF8"], check=True, capture_output=True, cwd=folder)
        options = ["-D", f"{home}/data", "-p", str(port), "-h", "127.0.0.1", "-k", "", "-F"]
        server = Server("postgres", [*as_nobody, needed("postgres"), *options], port, folder)
        server.start()
        try:
            wait_for(lambda: _answers(port), "an answer of postgres")
            yield {
                "DAGSTER_POSTGRES_HOST": "127.0.0.1",
                "DAGSTER_POSTGRES_PORT": str(port),
                "DAGSTER_POSTGRES_DB": "postgres",
                "DAGSTER_POSTGRES_USER": "air",
                "DAGSTER_POSTGRES_PASSWORD": "any",
            }
        finally:
            server.stop()


def _answers(port: int) -> bool:
    try:
        with closing(psycopg2.connect(host="127.0.0.1", port=port, user="air", dbname="postgres")):
            return True
    except psycopg2.OperationalError:  # it is still starting
        return False


@contextmanager
def running_redis(folder: Path) -> Iterator[Server]:
    """A Redis that keeps what it has accepted, also when it is killed."""
    folder.mkdir()
    port = free_port()
    options = ["--port", str(port), "--bind", "127.0.0.1", "--appendonly", "yes", "--appendfsync", "always"]
    server = Server("redis", [needed("redis-server"), *options, "--dir", str(folder), "--save", ""], port, folder)
    server.start()
    try:
        yield server
    finally:
        server.stop()
