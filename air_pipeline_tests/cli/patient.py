"""A deployment whose devices answer, which tests break, and what doctor says of it."""

import shutil
import time
from contextlib import ExitStack, closing
from datetime import date
from pathlib import Path

import dagster as dg
from dagster._core.remote_origin import (
    RegisteredCodeLocationOrigin,
    RemoteInstigatorOrigin,
    RemoteRepositoryOrigin,
)
from dagster._core.scheduler.instigation import (
    InstigatorState,
    InstigatorStatus,
    InstigatorType,
    ScheduleInstigatorData,
    SensorInstigatorData,
)
from dagster._daemon.types import DaemonHeartbeat

from air_pipeline.collection.lease import CollectorLock
from air_pipeline.deployment import Deployment
from air_pipeline.devices.polls import Outcome, Poll
from air_pipeline.devices.simulator import Simulator
from air_pipeline.settings.file import read_settings
from air_pipeline.storage.opening import open_store
from air_pipeline_tests.cli.shell import Ran, Shell
from air_pipeline_tests.days.deployments import build
from air_pipeline_tests.devices.raw_server import answering
from air_pipeline_tests.running_pipeline import today, write_devices

MARKS = {"✓": "ok", "!": "warning", "✗": "failure", "?": "unknown"}


class Patient(Shell):
    """A deployment whose devices answer; tests break it."""

    def __init__(self, shell: Shell, simulator: Simulator, storage: Path, opened: ExitStack) -> None:
        self.__dict__.update(shell.__dict__)
        self.simulator = simulator
        self.opened = opened
        self._storage = storage
        self.write()

    def write(self, start: date | None = None) -> None:
        write_devices(self.config, self.simulator, {"attic": "10s", "cellar": "10s"}, start or today())

    def replace(self, old: str, new: str) -> None:
        text = self.config.read_text(encoding="utf-8")
        assert old in text
        self.config.write_text(text.replace(old, new), encoding="utf-8")

    def address(self, url: str) -> None:
        """Another address of the attic's device."""
        self.replace(self.simulator.url("attic"), url)

    def answer(self, data: bytes) -> None:
        """Lets the attic's device answer with other bytes."""
        self.address(self.opened.enter_context(answering(data)).url)

    def collecting(self) -> None:
        """As if a collector ran."""
        self.opened.enter_context(CollectorLock(self.environment.state))

    def store(self, *polls: Poll) -> None:
        with closing(open_store(self.environment.influxdb, self.environment.state)) as store:
            store.write(polls)

    def build(self, day: date) -> None:
        deployment = Deployment(self.environment, read_settings(self.config))
        build(deployment, day)
        deployment.store.close()

    def dagster(self) -> dg.DagsterInstance:
        """Dagster's storage, with a daemon that lives."""
        home = self.environment.state.dagster
        if not home.exists():
            shutil.copytree(self._storage, home)
        instance = self.opened.enter_context(dg.DagsterInstance.from_config(str(home)))
        for kind in instance.get_required_daemon_types():
            instance.add_daemon_heartbeat(DaemonHeartbeat(time.time(), kind, "daemon", []))
        return instance

    def switch_off(self, name: str, kind: InstigatorType) -> None:
        repository = RemoteRepositoryOrigin(RegisteredCodeLocationOrigin("air_pipeline"), "__repository__")
        data = ScheduleInstigatorData("*/15 * * * *") if kind is InstigatorType.SCHEDULE else SensorInstigatorData()
        state = InstigatorState(RemoteInstigatorOrigin(repository, name), kind, InstigatorStatus.STOPPED, data)
        self.dagster().add_instigator_state(state)


def poll_of(device: str, outcome: Outcome = Outcome.OK, *, age_s: float = 5.0, **more: object) -> Poll:
    at = int((time.time() - age_s) * 1000)
    values = {"dht22_temperature": 21.0} if outcome.has_reading else {}
    return Poll(device, at, outcome, 40.0, 10.0, **{"http_status": 200, "values": values, **more})  # type: ignore[arg-type]


def complaints(ran: Ran) -> list[tuple[str, str]]:
    """The level and text of each line that is not well, one line each."""
    assert "Traceback" not in ran.out + ran.err
    lines = [(MARKS[line[0]], line[2:]) for line in ran.out.splitlines()]
    return [line for line in lines if line[0] != "ok" and not line[1].startswith(("clock: whether", "up: does not"))]
