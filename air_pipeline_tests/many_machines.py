"""air_pipeline on many machines, on one: a head, a worker that cannot see the head's files, collectors at sites."""

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from datetime import date
from pathlib import Path

import psutil

from air_pipeline.storage.opening import open_store
from air_pipeline_tests.running_pipeline import INTERVALS, ZONE, Installation
from air_pipeline_tests.sites import DEVICES_PORT, Site, inside
from air_pipeline_tests.waiting import WITHIN_S, wait_for

MANY = Path(__file__).parents[1] / "deploy" / "many"
_OURS = (sys.executable, "-m", "air_pipeline")
_PORT = ("--port", str(DEVICES_PORT))
UNIT = MANY / "air-pipeline-worker.service"
_IS_THERE = "import socket, sys; socket.create_connection((sys.argv[1], int(sys.argv[2])), 2)"
_HIDING = 'mount -t tmpfs -o size=1m none "$0" && exec "$@"'


class Machine(Installation):
    """A machine of several: a folder of its own, with what all of them have in common in the environment."""

    def __init__(self, folder: Path, common: Mapping[str, str]) -> None:
        super().__init__(folder)
        self._common = dict(common)
        home = folder / "dagster"
        home.mkdir(parents=True)
        shutil.copy(MANY / "dagster.yaml", home)
        self._common |= {"DAGSTER_HOME": str(home), "DAGSTER_LOGS_DIR": str(home / "storage")}

    @property
    def variables(self) -> dict[str, str]:
        """The environment of its services."""
        return super().variables | self._common


class Edge(Installation):
    """A machine at a site, whose collector has the name `edge-1` or so and polls one device."""

    def __init__(self, folder: Path, site: Site, device: str, store: Mapping[str, str]) -> None:
        folder.mkdir()
        super().__init__(folder, {**store, "AIR_PIPELINE_COLLECTOR": folder.name})
        self.site = site
        self.device = device
        self.intervals = {device: INTERVALS[device]}
        self.collector_service = Service(self, "collector", *inside(site.collector), *_OURS, "collect")
        self._devices = Service(
            self, "devices", *inside(site.devices), *_OURS, "simulate", device, "--host", site.address, *_PORT
        )

    @contextmanager
    def running(self) -> Iterator[None]:
        """Within the block its device is there, and then its collector."""
        with running(self._devices):
            wait_for(lambda: is_reached(inside(self.site.collector), self.site), f"the device {self.device}")
            with running(self.collector_service):
                yield

    def outcomes(self, since: int) -> set[str]:
        """What became of the polls of its device since then, ms, as far as they are in the store."""
        with closing(open_store(self.environment.influxdb, self.environment.state)) as store:
            return set(store.polls(self.device, since, 10**14)["outcome"])


def is_reached(where: Sequence[str], site: Site) -> bool:
    """Whether the devices of a site are reached from somewhere, such as `inside` of a namespace."""
    probe = [*where, sys.executable, "-c", _IS_THERE, site.address, str(DEVICES_PORT)]
    return subprocess.run(probe, capture_output=True, check=False).returncode == 0


def write_edges(path: Path, edges: Sequence[Edge], start: date) -> None:
    """Writes a `devices.yaml` in which each device is its own collector's."""
    lines = [f"timezone: {ZONE}", f"start: {start}", "collector: external", "devices:"]
    for edge in edges:
        for device, interval in edge.intervals.items():
            lines += [f"  - id: {device}", f"    url: {edge.site.url(device)}", f"    interval: {interval}ms"]
            lines += [f"    collector: {edge.folder.name}"]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


class Service:
    """A process of one machine, started again at will."""

    def __init__(self, machine: Installation, name: str, *command: str, hidden: Path | None = None) -> None:
        """Starts nothing yet.

        Args:
            machine: where it runs.
            name: for its log.
            command: what runs; one of our environment's programs.
            hidden: a folder of another machine, of which it sees nothing.
        """
        hiding = [] if hidden is None else ["unshare", "--mount", "sh", "-c", _HIDING, str(hidden)]
        self._command = [*hiding, *command]
        self.machine = machine
        self._log = machine.folder / f"{name}.log"
        self.process: psutil.Popen | None = None

    def start(self) -> None:
        """Starts it."""
        with self._log.open("ab") as log:
            self.process = psutil.Popen(
                self._command,
                env=self.machine.variables,
                cwd=self.machine.folder,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def keep(self) -> None:
        """Starts it again if it has ended, as its unit's `Restart=always` does."""
        if self.process is not None and self.process.poll() is not None:
            self.start()

    @property
    def said(self) -> str:
        """What it has written so far."""
        return self._log.read_text(encoding="utf-8", errors="replace")

    def children(self) -> list[psutil.Process]:
        """The processes that it has started."""
        with suppress(psutil.NoSuchProcess):
            return list(self.process.children(recursive=True)) if self.process else []
        return []

    def pause(self) -> None:
        """From now on it does nothing, nor do its children, until `resume`."""
        for one in (self.process, *self.children()):
            if one is not None:
                one.suspend()

    def resume(self) -> None:
        """It goes on."""
        for one in (self.process, *self.children()):
            if one is not None:
                one.resume()

    def kill(self) -> None:
        """Ends it and its children at once."""
        process, children = self.process, self.children()
        self.process = None
        for one in (process, *children):
            with suppress(psutil.NoSuchProcess):
                if one is not None:
                    one.kill()
        if process is not None:
            process.wait(WITHIN_S)


@contextmanager
def running(service: Service) -> Iterator[Service]:
    """A service, started; whatever is left of it at the end is killed."""
    service.start()
    try:
        yield service
    finally:
        service.kill()


def worker_of(machine: Machine, head: Machine) -> Service:
    """A Celery worker, as the unit starts it, which sees nothing of the head's files."""
    [line] = re.findall("^ExecStart=(.*)$", UNIT.read_text(encoding="utf-8"), re.MULTILINE)
    program, *options = line.split()
    command = [str(Path(sys.executable).with_name(Path(program).name)), *options]
    return Service(machine, "worker", *command, hidden=head.folder)


def wait_until_ready(worker: Service) -> None:
    """Waits until a worker takes tasks."""

    def ready() -> bool:
        assert worker.process is not None
        assert worker.process.is_running(), worker.said
        return " ready." in worker.said

    wait_for(ready, "the worker")
