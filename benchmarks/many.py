"""How far one goes: polls a second that one writer puts into InfluxDB, and devices that one collector asks every 10 s.

Writing is the store's own: its line protocol, its requests, one thread. The peer sends the same lines, made before, by
`http.client` alone. Collecting is measured as in `collecting`, with more devices each time until slots are lost;
what simulates the devices has the same cores.

    python -m benchmarks many --help
"""

import argparse
import http.client
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from itertools import chain
from pathlib import Path
from urllib.parse import urlencode, urlsplit

import psutil

from air_pipeline.collection.delivery import BATCH
from air_pipeline.devices.polls import Outcome, Poll
from air_pipeline.devices.simulator import Profile
from air_pipeline.devices.simulator.history import polls_between
from air_pipeline.settings import Device, InfluxConnection
from air_pipeline.storage.influxdb import InfluxStore
from air_pipeline.storage.line_protocol import poll_lines
from air_pipeline_tests.influxdb_server import OwnInfluxServer
from benchmarks import peers
from benchmarks.collecting import Case, cpu_s, measured, simulated
from benchmarks.machine import load

INTERVAL_S = 10
START = 1_780_012_800_000
WRITERS_DEVICES = 1_000
SLOTS = 24
END = START + SLOTS * INTERVAL_S * 1000
ROUNDS = 5
"""Of writing: of CPU and of the clock the least counts, as other processes only ever add to either."""
AT_ONCE = (100, 500, BATCH, 10_000)
"""Polls handed over together; a request has 2,500 at most."""
INTERVALS = 5
TRIES = 2
"""Of a number of devices: what else the machine does loses slots too."""
DEVICES = (4_000, 8_000, 16_000)
FULL_DEVICES = (*DEVICES, 24_000, 32_000)


@dataclass(frozen=True, slots=True)
class Written:
    """What writing took a poll: by the clock, CPU of the writer and of the server."""

    wall_s: float
    writer_s: float
    server_s: float


def main(arguments: Sequence[str] = ()) -> None:
    """Prints a line a size."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks many", description=__doc__)
    parser.add_argument("--at-once", type=int, nargs="*", default=AT_ONCE, help="polls that are written together")
    parser.add_argument(
        "--devices", type=int, nargs="*", default=DEVICES, help="of one collector, until slots are lost"
    )
    parser.add_argument("--full", action="store_true", help=f"up to {FULL_DEVICES[-1]} devices")
    asked = parser.parse_args(list(arguments))
    with (
        tempfile.TemporaryDirectory() as folder,
        peers.influxdb(Path(folder) / "influxdb", "how much is written and collected is left out") as influxdb,
    ):
        if influxdb is not None:
            _writing(influxdb, asked.at_once)
            _collecting(influxdb, FULL_DEVICES if asked.full else asked.devices)


def _writing(influxdb: OwnInfluxServer, sizes: Sequence[int]) -> None:
    slots = [
        polls_between(Device(name, "http://127.0.0.1/", "UTC", INTERVAL_S * 1000), Profile(name), START, END)
        for name in (f"device-{number:04}" for number in range(WRITERS_DEVICES))
    ]
    # As they come: all devices of one slot, then of the next.
    polls = list(chain.from_iterable(zip(*slots, strict=True)))
    values = sum(len(poll.values) for poll in polls) / len(polls)
    assert all(poll.outcome is Outcome.OK for poll in polls)
    for size in sizes:
        batches = [polls[first : first + size] for first in range(0, len(polls), size)]
        ours = partial(_write, batches)
        bare = partial(_send, [("\n".join(chain.from_iterable(map(poll_lines, batch)))).encode() for batch in batches])
        it, peer = _in_turns(influxdb, len(polls), ours, bare)
        print(
            f"{size} polls at once by one writer: {1 / it.wall_s:,.0f} polls, {2 / it.wall_s:,.0f} points,"
            f" {values / it.wall_s:,.0f} values a second ({it.wall_s / peer.wall_s:.2f} × the time of the same lines"
            f" sent by http.client, {1 / peer.wall_s:,.0f} polls a second); CPU a poll {it.writer_s * 1e6:.0f} µs here,"
            f" {it.server_s * 1e6:.0f} µs in InfluxDB; {load()}",
            flush=True,
        )


def _in_turns(influxdb: OwnInfluxServer, polls: int, *ways: Callable[[InfluxConnection], None]) -> Sequence[Written]:
    """Each way, each time into a bucket of its own."""
    server = psutil.Process(influxdb.pid)
    taken: list[list[Written]] = [[] for _ in ways]
    for _ in range(ROUNDS):
        for way, of_way in zip(ways, taken, strict=True):
            connection = influxdb.connection()
            before = time.perf_counter(), time.process_time(), cpu_s(server)
            way(connection)
            after = time.perf_counter(), time.process_time(), cpu_s(server)
            of_way.append(Written(*((now - then) / polls for then, now in zip(before, after, strict=True))))
    return [
        Written(min(one.wall_s for one in of), min(one.writer_s for one in of), min(one.server_s for one in of))
        for of in taken
    ]


def _write(batches: Sequence[Sequence[Poll]], connection: InfluxConnection) -> None:
    with closing(InfluxStore(connection)) as store:
        for batch in batches:
            store.write(batch)


def _send(bodies: Sequence[bytes], connection: InfluxConnection) -> None:
    path = "/api/v2/write?" + urlencode({"org": connection.org, "bucket": connection.bucket, "precision": "ms"})
    with closing(http.client.HTTPConnection(urlsplit(connection.url).netloc)) as server:
        for body in bodies:
            server.request("POST", path, body, {"Authorization": f"Token {connection.token}"})
            answer = server.getresponse()
            assert answer.status == http.client.NO_CONTENT, answer.read()
            answer.read()


def _collecting(influxdb: OwnInfluxServer, sizes: Sequence[int]) -> None:
    print("devices of one collector, all due at one instant, the simulator on the same cores", flush=True)
    for devices in sizes:
        if not any(_keeps_up(influxdb, devices) for _ in range(TRIES)):
            print(f"one collector's ceiling here is below {devices} devices every {INTERVAL_S} s", flush=True)
            return


def _keeps_up(influxdb: OwnInfluxServer, devices: int) -> bool:
    """Prints what so many devices take; whether each was read in each slot."""
    with simulated(devices) as (base, simulator):
        collected = measured(Case(devices, INTERVAL_S, INTERVALS), influxdb, base, simulator)
    print(f"{devices} devices every {INTERVAL_S} s: {collected}", flush=True)
    return collected.is_whole
