"""A program: a collector through thirty days as fast as the machine is, with real devices, outbox and store.

Time does not go by while devices are asked and stands at the next slot once all is answered; whatever else is there
(sockets, threads, files, SQLite) is the real thing. It writes a line of JSON a day: what the process has taken by then.
Arguments: the file of the environment's settings, the state directory, the first slot, how many days.
"""

import gc
import json
import sys
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil

from air_pipeline.collection.collector import Collector
from air_pipeline.collection.configuration import Configuration
from air_pipeline.collection.delivering import delivering
from air_pipeline.collection.holding import Holding
from air_pipeline.collection.lease import CollectorLock
from air_pipeline.collection.outbox import Outbox
from air_pipeline.collection.recorder import Recorder
from air_pipeline.environment import Environment
from air_pipeline.state import StateDirectory
from air_pipeline_tests.collection.held_clock import HeldClock, settle
from air_pipeline_tests.waiting import WITHIN_S, wait_for

HOUR_MS, DAY_MS = 3_600_000, 86_400_000


@dataclass(frozen=True)
class Taken:
    """What a process has taken: its own memory (the unique set), descriptors, threads."""

    memory_mb: float
    descriptors: int
    threads: int

    @classmethod
    def by(cls, process: psutil.Process) -> "Taken":
        """What it has taken now."""
        with process.oneshot():
            return cls(process.memory_full_info().uss / 1e6, process.num_fds(), process.num_threads())

    def is_no_more_than(self, warm: "Taken") -> bool:
        """Whether nothing has grown: a little comes and goes."""
        return (
            self.memory_mb <= warm.memory_mb + 10
            and self.descriptors <= warm.descriptors + 10
            and self.threads <= warm.threads + 3
        )


def main() -> None:
    """Runs."""
    state = StateDirectory(Path(sys.argv[2]))
    environment = Environment(Path(sys.argv[1]), state, state.path / "data")
    clock, days = HeldClock(int(sys.argv[3])), int(sys.argv[4])
    configuration = Configuration(environment)
    settings = configuration.settings
    interval_ms = settings.devices[0].interval_ms
    with CollectorLock(state) as lock, Recorder(state) as recorder, delivering(environment):
        collector = Collector(settings, recorder, clock, holding=Holding(clock, state))
        for _ in range(days):
            for slot in range(0, DAY_MS, interval_ms):
                settle(collector)
                clock.advance(interval_ms)
                if slot % HOUR_MS == 0:
                    lock.keep()
                    configuration.look()
            assert recorder.flush(WITHIN_S)
            with closing(Outbox(state.outbox, make=False)) as outbox:
                wait_for(lambda: outbox.status().pending == 0, "the store to have everything")
            gc.collect()
            print(json.dumps(asdict(Taken.by(psutil.Process()))), flush=True)  # noqa: T201 -- for who started this


if __name__ == "__main__":
    main()
