"""The collector: CPU a poll, from the slot to the answer, size and start time.

The peer asks the same devices with what one would write by hand: `requests.Session.get` in 32 threads, storing
nothing.
"""

import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import numpy as np
import psutil

from air_pipeline.collection.lease import holder
from air_pipeline.state import StateDirectory
from air_pipeline.storage.opening import open_store

COMMAND = [sys.executable, "-m", "air_pipeline"]
PEER = """
import sys, time, requests
from concurrent.futures import ThreadPoolExecutor
from threading import local
base, devices, rounds = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
mine = local()
def ask(number):
    if not hasattr(mine, "session"):
        mine.session = requests.Session()
    mine.session.get(f"{base}/device-{number:04}/circumstances", timeout=5).json()
with ThreadPoolExecutor(min(32, devices)) as pool:
    list(pool.map(ask, range(1, devices + 1)))
    before = time.process_time()
    for _ in range(rounds):
        list(pool.map(ask, range(1, devices + 1)))
    print((time.process_time() - before) / (rounds * devices) * 1000)
"""


def main() -> None:
    """Prints one line a case."""
    for devices, interval_s, seconds in ((1, 1, 20), (100, 10, 40), (1000, 10, 60)):
        with _simulated(devices) as base, tempfile.TemporaryDirectory() as folder:
            _case(Path(folder), base, devices, interval_s, seconds)


@contextmanager
def _simulated(devices: int) -> Iterator[str]:
    process = subprocess.Popen(
        [*COMMAND, "simulate", "--count", str(devices), "--port", "0"], stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout
        yield process.stdout.readline().rsplit("/", 2)[0]
    finally:
        process.terminate()
        process.communicate()


def _case(folder: Path, base: str, devices: int, interval_s: int, seconds: int) -> None:
    lines = ["timezone: Europe/Warsaw", "start: 2026-01-01", f"interval: {interval_s}s", "devices:"]
    for number in range(1, devices + 1):
        lines.append(f"  - {{id: device-{number:04}, url: '{base}/device-{number:04}/circumstances'}}")
    (folder / "devices.yaml").write_text("\n".join(lines), encoding="utf-8")
    state = StateDirectory(folder / "state")
    variables = {"AIR_PIPELINE_CONFIG": str(folder / "devices.yaml"), "AIR_PIPELINE_STATE": str(state)}
    environment = {k: v for k, v in os.environ.items() if not k.startswith("INFLUXDB_V2_")} | variables
    began = time.monotonic()
    process = subprocess.Popen([*COMMAND, "collect"], env=environment, stderr=subprocess.DEVNULL)
    while holder(state) is None:
        time.sleep(0.005)
    started = time.monotonic() - began
    running = psutil.Process(process.pid)
    before = _cpu_s(running)
    time.sleep(seconds)
    cpu, size = _cpu_s(running) - before, running.memory_info().rss
    process.terminate()
    process.wait()
    durations: list[float] = []
    outcomes: Counter[str] = Counter()
    gaps = 0
    with closing(open_store(None, state)) as store:
        for number in range(1, devices + 1):
            polls = store.polls(f"device-{number:04}", 0, 10**15)
            outcomes.update(polls["outcome"])
            gaps += int((np.diff(polls.index.asi8) != interval_s * 1000).sum())
            durations += list(polls["duration_ms"].iloc[1:])  # the slot in which it was started is begun late
    each = cpu / outcomes.total() * 1000
    rounds = max(2, 2000 // devices)
    peer = float(
        subprocess.run(
            [sys.executable, "-c", PEER, base, str(devices), str(rounds)], capture_output=True, text=True, check=True
        ).stdout
    )
    median, late, latest = np.percentile(durations, [50, 99, 100])
    costs = f"{each:.2f} ms CPU a poll, stored ({each / peer:.2f} × a bare requests.get, {peer:.2f} ms)"
    answered = f"slot to answer {median:.0f} ms median, {late:.0f} ms p99, {latest:.0f} ms at most"
    size_and_start = f"{size / 1e6:.0f} MB, ready in {started:.2f} s"
    print(
        f"{devices} devices every {interval_s} s: {costs}; {answered}; {dict(outcomes)}, {gaps} gaps; {size_and_start}",
        flush=True,
    )


def _cpu_s(process: psutil.Process) -> float:
    times = process.cpu_times()
    return times.user + times.system
