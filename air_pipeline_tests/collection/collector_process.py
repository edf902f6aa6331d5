"""The collector as a process of its own, with two simulated devices, and what it has put on the disk.

Belongs here: what tests of the process share; their fixtures are in `conftest`.
"""

import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from air_pipeline.collection.outbox import Outbox
from air_pipeline.devices.simulator import Simulator
from air_pipeline.environment import Environment
from air_pipeline.storage.opening import open_store


def write_config(path: Path, simulator: Simulator, *names: str, interval: str = "1s", last: str = "") -> None:
    """Writes a devices.yaml; `last` are further lines of the last device."""
    lines = ["timezone: Europe/Warsaw", "start: 2026-11-01", f"interval: {interval}", "devices:"]
    for name in names:
        lines += [f"  - id: {name}", f"    url: {simulator.url(name)}"]
    path.write_text("\n".join([*lines, last]), encoding="utf-8")


@contextmanager
def running_collector(environment: Environment, *options: str) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [sys.executable, "-m", "air_pipeline", "collect", *options],
        env={**os.environ, **environment.variables()},
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()


def stored(environment: Environment) -> Counter[tuple[str, int]]:
    """How often each slot of each device is in the store."""
    with closing(open_store(None, environment.state)) as store:
        found: Counter[tuple[str, int]] = Counter()
        for device in ("a", "b"):
            found.update((device, int(at.timestamp())) for at in store.polls(device, 0, 10**15).index)
        return found


def waiting(environment: Environment) -> set[tuple[str, int]]:
    with closing(Outbox(environment.state.outbox)) as box:
        return {(one.poll.device, one.poll.observed_at // 1000) for one in box.pending(10_000)}
