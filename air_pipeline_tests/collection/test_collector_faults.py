"""The collector as a process, on disks that are full, slow or read-only, without threads, ended in the middle."""

import os
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from air_pipeline.collection.lease import (
    end_lease,
    extend_lease,
    holder,
    lease_holds,
)
from air_pipeline.collection.recorder import recording
from air_pipeline.devices.simulator import Simulator
from air_pipeline.environment import Environment
from air_pipeline.records import read_record
from air_pipeline.state import StateDirectory
from air_pipeline_tests.collection.collector_process import running_collector, stored, waiting, write_config
from air_pipeline_tests.collection.disks import fill, real_disk, small_disk
from air_pipeline_tests.needs import go_without
from air_pipeline_tests.waiting import WITHIN_S, wait_for


def asked(simulator: Simulator, name: str = "a") -> int:
    return len(simulator.requests(name).times_ms)


def wait_for_more(simulator: Simulator, number: int = 3) -> None:
    """Waits until each device was asked so many times more."""
    before = {name: asked(simulator, name) for name in ("a", "b")}
    wait_for(lambda: all(asked(simulator, name) >= before[name] + number for name in before), "more polls")


def kept(environment: Environment, name: str = "a") -> int:
    """How many slots of a device are on the disk."""
    return len({slot for device, slot in waiting(environment) | set(stored(environment)) if device == name})


@pytest.mark.slow
def test_a_full_disk_costs_no_slot_and_no_poll(environment: Environment, simulator: Simulator) -> None:
    state = environment.state
    with small_disk(state.path) as disk:
        extend_lease(state, 2 * WITHIN_S)
        with running_collector(environment, "--leased") as process:
            wait_for(lambda: len(stored(environment)) >= 4 and state.reserve.exists(), "readings, and the reserve")
            fill(disk)
            with closing(sqlite3.connect(state.outbox)) as reader:  # so that whatever is committed needs room
                reader.execute("BEGIN")
                reader.execute("SELECT COUNT(*) FROM outbox").fetchone()
                wait_for(lambda: not state.reserve.exists(), "the outbox given the reserve")
                fill(disk)
                wait_for(lambda: recording(state).waiting >= 2, "polls that wait in memory")
                extend_lease(state, 3 * WITHIN_S)
                assert lease_holds(state)
                simulator.set_fault("a", "unknown_sensor")  # so that there is something to note
                wait_for_more(simulator)
                end_lease(state)
                wait_for_more(simulator)
                assert process.poll() is None, "it ended with polls in memory"
            for filler in disk.glob("filler-*"):
                filler.unlink()
            assert process.wait(WITHIN_S) == 0, "the lease ended it once the disk took polls again"
        assert recording(state).dropped == 0
        for name in ("a", "b"):
            assert kept(environment, name) >= asked(simulator, name), "a request without a poll"


_ENDS_SOON = """
from air_pipeline.collection import process
from air_pipeline.environment import read_environment
from air_pipeline.errors import AirPipelineError
process.END_WITHIN_S = 1.0
try:
    process.collect(read_environment())
except AirPipelineError as error:
    raise SystemExit(str(error))
"""


@pytest.mark.slow
def test_a_collector_that_has_to_end_on_a_full_disk_says_what_is_lost(
    environment: Environment, simulator: Simulator
) -> None:
    state = environment.state
    variables = {**os.environ, **environment.variables()}
    with (
        small_disk(state.path, megabytes=16) as disk,
        subprocess.Popen(
            [sys.executable, "-c", _ENDS_SOON], env=variables, stderr=subprocess.PIPE, text=True
        ) as process,
    ):
        try:
            wait_for(lambda: len(stored(environment)) >= 2, "readings")
            fill(disk)
            with closing(sqlite3.connect(state.outbox)) as reader:
                reader.execute("BEGIN")
                reader.execute("SELECT COUNT(*) FROM outbox").fetchone()
                wait_for(lambda: recording(state).waiting >= 2, "polls that wait in memory")
                process.send_signal(signal.SIGTERM)
                assert process.wait(WITHIN_S) == 1
        finally:
            process.kill()
        lost = recording(state)
        assert lost.dropped >= 2
        assert process.stderr is not None
        assert lost.lost in process.stderr.read()


@contextmanager
def answering_when_let() -> Iterator[tuple[str, threading.Event, threading.Event]]:
    """A device that answers when it is let: its address, whether it was asked, and what lets it."""
    body = b'{"nodemcu": {"dht22": {"temperature": "20.0", "humidity": "50.0"}}}'
    was_asked, gate = threading.Event(), threading.Event()

    def serve(server: socket.socket) -> None:
        connection, _ = server.accept()
        with connection:
            connection.recv(4096)
            was_asked.set()
            gate.wait(WITHIN_S)
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=serve, args=(server,), daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}/", was_asked, gate
        gate.set()
        thread.join(WITHIN_S)


def test_what_is_answered_at_the_end_is_on_the_disk_while_others_are_waited_for(
    environment: Environment, simulator: Simulator
) -> None:
    with answering_when_let() as (url, was_asked, gate):
        simulator.set_fault("b", "hang")
        write_config(
            environment.config, simulator, "b", interval="1h\ntimeout: 1h", last=f"  - {{id: a, url: '{url}'}}"
        )
        with running_collector(environment) as process:
            wait_for(lambda: was_asked.is_set() and asked(simulator, "b"), "both asked")
            process.send_signal(signal.SIGTERM)
            gate.set()
            wait_for(lambda: kept(environment, "a"), "the answer on the disk, while b is waited for")
            process.kill()
            process.wait()
        assert kept(environment, "a") == 1


@pytest.mark.slow
def test_the_end_waits_for_a_hanging_device_for_so_long_and_records_it(
    environment: Environment, simulator: Simulator
) -> None:
    simulator.set_fault("b", "hang")
    write_config(environment.config, simulator, "b", interval="1h\ntimeout: 1h")
    with running_collector(environment) as process:
        wait_for(lambda: asked(simulator, "b"), "the request")
        process.send_signal(signal.SIGTERM)
        assert process.wait(WITHIN_S) == 0
    assert kept(environment, "b") == 1


_AS_ANOTHER_USER = "--reuid=54321", "--clear-groups", "--inh-caps=+dac_override", "--ambient-caps=+dac_override"


@pytest.mark.slow
def test_where_the_machine_gives_no_more_threads_polling_goes_on_with_those_there_are() -> None:
    limited = ["setpriv", *_AS_ANOTHER_USER, "prlimit", "--nproc=12"]
    try:
        able = subprocess.run([*limited, sys.executable, "-c", ""], capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        able = False
    if not able:
        go_without("no process can be limited here: this takes root, setpriv and prlimit")
    names = [f"d{number}" for number in range(40)]
    with TemporaryDirectory() as name, Simulator(names) as simulator:
        folder = Path(name)
        folder.chmod(0o777)
        environment = Environment(folder / "devices.yaml", StateDirectory(folder / "state"), folder / "data")
        write_config(environment.config, simulator, *names, interval="2s\ntimeout: 1s")
        by_name = environment.config.read_text().replace("127.0.0.1", "localhost")  # which each look up in a thread
        environment.config.write_text(by_name)
        for one in names:
            simulator.set_fault(one, "hang")
        said = ""
        with subprocess.Popen(
            [*limited, sys.executable, "-m", "air_pipeline", "collect"],
            env={**os.environ, **environment.variables()},
            stderr=subprocess.PIPE,
            text=True,
        ) as process:
            try:
                assert process.stderr is not None
                said += next(line for line in process.stderr if "gives no more threads" in line)
                before = sum(asked(simulator, one) for one in names)
                wait_for(lambda: sum(asked(simulator, one) for one in names) > before + 20, "more polls")
                process.send_signal(signal.SIGTERM)
                assert process.wait(WITHIN_S) == 0
                said += process.stderr.read()
            finally:
                process.kill()
    assert said.count("gives no more threads") == 1
    assert "Traceback" not in said


@pytest.mark.chaos
def test_a_disk_that_hangs_and_then_becomes_read_only_stops_no_polling(
    environment: Environment, simulator: Simulator, tmp_path: Path
) -> None:
    state = environment.state
    with real_disk(state.path, tmp_path / "image") as disk:
        extend_lease(state, 4 * WITHIN_S)
        with running_collector(environment, "--leased") as process:
            wait_for(lambda: len(stored(environment)) >= 4, "readings")
            disk.freeze()
            wait_for_more(simulator)
            disk.thaw()
            wait_for(lambda: kept(environment) >= asked(simulator), "every slot of the time in which the disk hung")
            extend_lease(state, 10.0)
            disk.become_read_only()
            extend_lease(state)
            wait_for(lambda: not lease_holds(state), "the lease that nobody can extend any more")
            assert read_record(state.collector_lease) is not None
            wait_for_more(simulator)
            assert process.poll() is None, "it ended by a lease that could not be extended"
            running = holder(state)
            assert running is not None
            process.send_signal(signal.SIGTERM)
            assert process.wait(WITHIN_S) == 1  # its log, where it would say what is lost, is on that disk
