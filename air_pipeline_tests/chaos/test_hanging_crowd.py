"""A thousand devices, of which three hundred accept and never answer, and one collector."""

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import timedelta
from pathlib import Path

import psutil
import pytest

from air_pipeline.storage.opening import open_store
from air_pipeline_tests.running_pipeline import Installation, due_slots, now_ms, today
from air_pipeline_tests.waiting import WITHIN_S, wait_for

DEVICES = [f"device-{number:04}" for number in range(1, 1001)]
HANGING = DEVICES[::3][:300]
INTERVAL_MS, TIMEOUT_MS = 40_000, 25_000
"""So long that a machine which is ten times as slow still asks every device in time."""
SLOTS = 3


@contextmanager
def simulated(folder: Path) -> Iterator[str]:
    """The devices, in a process of their own; where they are asked."""
    script = folder / "script.yaml"
    script.write_text(json.dumps([{"device": name, "after": 0, "fault": "hang"} for name in HANGING]))
    command = ["simulate", "--count", str(len(DEVICES)), "--port", "0", "--script", str(script)]
    process = subprocess.Popen(
        [sys.executable, "-m", "air_pipeline", *command], stdout=subprocess.PIPE, text=True, cwd=folder
    )
    try:
        assert process.stdout
        yield process.stdout.readline().rsplit("/", 2)[0]
    finally:
        process.terminate()
        process.communicate()


@pytest.mark.chaos
def test_three_hundred_of_a_thousand_devices_hang_and_the_others_lose_no_slot(tmp_path: Path) -> None:
    installation, most = Installation(tmp_path), Counter[str]()
    with simulated(tmp_path) as base:
        lines = ["timezone: Europe/Warsaw", f"start: {today() - timedelta(days=1)}"]
        lines += [f"interval: {INTERVAL_MS}ms", f"timeout: {TIMEOUT_MS}ms", "devices:"]
        lines += [f"  - {{id: {name}, url: '{base}/{name}/circumstances'}}" for name in DEVICES]
        installation.config.write_text("\n".join(lines), encoding="utf-8")
        with (tmp_path / "log").open("w") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "air_pipeline", "collect"], env=installation.variables, stderr=log
            )
        try:
            began, running = now_ms(), psutil.Process(process.pid)

            def has_let_go() -> bool:
                taken = {"threads": running.num_threads(), "descriptors": running.num_fds()}
                most.update({name: max(most[name], count) - most[name] for name, count in taken.items()})
                is_between = TIMEOUT_MS + 3_000 < now_ms() % INTERVAL_MS < INTERVAL_MS - 3_000
                return now_ms() > began + SLOTS * INTERVAL_MS and is_between and taken["descriptors"] < 60

            wait_for(has_let_go, "the end of the hanging polls after some slots")
            process.terminate()
            assert process.wait(WITHIN_S) == 0
        finally:
            process.kill()
            process.wait()
    outcomes, missed = Counter[tuple[bool, str]](), 0
    with closing(open_store(None, installation.environment.state)) as store:  # from the first whole slot on
        polls = {name: store.polls(name, began, 10**14) for name in DEVICES}
    slots = {round(at.timestamp() * 1000) for frame in polls.values() for at in frame.index}
    for name, frame in polls.items():
        outcomes.update((name in HANGING, str(one)) for one in frame["outcome"])
        missed += len(due_slots(INTERVAL_MS, min(slots), max(slots))) - len(frame)
    sys.stdout.write(f"{len(slots)} slots: {dict(outcomes)}, {missed} missed; at most {dict(most)}\n")
    assert len(slots) >= SLOTS
    assert missed == 0
    # On a busy machine the end of a poll that hangs can come after the next slot: that one is its own loss too.
    assert outcomes.keys() - {(True, "skipped")} == {(False, "ok"), (True, "timeout")}
    assert most["threads"] < len(DEVICES) + 50
    assert most["descriptors"] < len(DEVICES) + 100
    assert "Traceback" not in (tmp_path / "log").read_text()
