"""The simulator's server, asked as devices are asked."""

import os
import signal
import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

from air_pipeline.devices.client import Exchange
from air_pipeline.devices.polls import Outcome
from air_pipeline.devices.simulator import FAULTS, Flaky, Profile, Simulator, document_at, read_script
from air_pipeline_tests.devices.getting import get
from air_pipeline_tests.waiting import WITHIN_S, wait_for

NOW_S = 1_780_000_000.0


class Clock:
    """A clock that a test moves."""

    def __init__(self, now_s=NOW_S):
        self.now_s = now_s

    def __call__(self):
        return self.now_s


def ask(url):
    return Exchange(url, WITHIN_S).run()


def raw(simulator, request):
    with socket.create_connection(("127.0.0.1", simulator.port), WITHIN_S) as connection:
        connection.sendall(request)
        return b"".join(iter(lambda: connection.recv(65_536), b""))


def test_the_head_is_the_firmwares():
    with Simulator(["a"], clock=Clock()) as simulator:
        head, _, body = raw(simulator, b"GET /a/circumstances HTTP/1.1\r\n\r\n").partition(b"\r\n\r\n")
    assert head.decode().split("\r\n") == [
        "HTTP/1.1 200 OK",
        "Content-Type: application/json",
        f"Content-Length: {len(body)}",
        "Connection: close",
    ]


def test_what_is_served_is_what_the_history_says():
    clock = Clock()
    with Simulator(["a", Profile("b", 9)], seed=2, clock=clock) as simulator:
        for step in range(5):
            clock.now_s = NOW_S + 10 * step
            assert ask(simulator.url("a")).body == document_at(Profile("a", 2), int(clock.now_s * 1000))
            assert ask(simulator.url("b")).body == document_at(Profile("b", 9), int(clock.now_s * 1000))
        traffic = simulator.requests("a")
    assert traffic.times_ms == [int(NOW_S + 10 * step) * 1000 for step in range(5)]
    assert (traffic.most_at_once, traffic.open_now) == (1, 0)


def test_a_single_device_has_the_short_path_too_and_nothing_else_is_there():
    with Simulator(["a"]) as simulator:
        short = f"http://127.0.0.1:{simulator.port}/circumstances"
        assert ask(short).outcome is None
        assert ask(short + "?x=1").outcome is None
        assert ask(f"http://127.0.0.1:{simulator.port}/").status == 404
    with Simulator(["a", "b"]) as simulator:
        assert ask(f"http://127.0.0.1:{simulator.port}/circumstances").status == 404
        with pytest.raises(KeyError):
            simulator.url("c")


def test_a_request_in_pieces_is_understood():
    with (
        Simulator(["a"]) as simulator,
        socket.create_connection(("127.0.0.1", simulator.port), WITHIN_S) as connection,
    ):
        for part in (b"GET /a/circ", b"umstances HTTP/1.1\r\nHost: x\r\n", b"\r\n"):
            connection.sendall(part)
        assert connection.recv(4096).startswith(b"HTTP/1.1 200 OK")


def test_requests_that_overlap_are_counted():
    with Simulator(["a"]) as simulator, ThreadPoolExecutor(3) as threads:
        simulator.set_fault("a", "hang")
        exchanges = [Exchange(simulator.url("a"), WITHIN_S) for _ in range(3)]
        runs = [threads.submit(exchange.run) for exchange in exchanges]
        wait_for(lambda: simulator.requests("a").open_now == 3, "three requests")
        for exchange in exchanges:
            exchange.abort()
        assert {run.result(WITHIN_S).outcome for run in runs} == {Outcome.TIMEOUT}
        wait_for(lambda: simulator.requests("a").open_now == 0, "their ends")
        assert simulator.requests("a").most_at_once == 3


def test_a_dripped_answer_is_complete_in_the_end():
    with Simulator(["a"], clock=Clock()) as simulator:
        for fault in ("drip_headers", "drip_body"):
            simulator.set_fault("a", fault, seconds=0.0005)
            assert ask(simulator.url("a")).body == document_at(Profile("a"), int(NOW_S * 1000))


def test_an_answer_larger_than_the_networks_buffers_arrives_whole():
    with Simulator(["a"]) as simulator:
        simulator.set_fault("a", "huge", bytes=20_000_000)
        assert len(raw(simulator, b"GET /a/circumstances HTTP/1.1\r\n\r\n")) > 20_000_000


def test_a_script_runs_by_the_simulators_clock():
    clock = Clock()
    script = read_script(
        "- {device: a, after: 10, for: 10, fault: http_500}\n- {device: a, after: 30, for: 4, fault: boot}"
    )
    with Simulator(["a"], script=script, clock=clock) as simulator:
        statuses = []
        for after in (0, 10, 20):
            clock.now_s = NOW_S + after
            statuses.append(ask(simulator.url("a")).status)
        assert statuses == [200, 500, 200]
        clock.now_s = NOW_S + 30
        assert b'"co":""' in ask(simulator.url("a")).body
        clock.now_s = NOW_S + 40
        rebooted = Profile("a", booted_at=NOW_S + 30)
        assert ask(simulator.url("a")).body == document_at(rebooted, int(clock.now_s * 1000))


def test_flaky_devices_fail_now_and_then():
    clock = Clock()
    with Simulator(["a"], flaky=Flaky(0.5, faults=("http_500",)), clock=clock) as simulator:
        statuses = []
        for slot in range(60):
            clock.now_s = NOW_S + 10 * slot
            statuses.append(ask(simulator.url("a")).status)
        assert 10 < statuses.count(500) < 50


def test_an_unknown_fault_is_refused():
    with Simulator(["a"]) as simulator, pytest.raises(ValueError, match="no fault is called"):
        simulator.set_fault("a", "rain")


@pytest.mark.parametrize("fault", sorted(FAULTS))
def test_no_fault_keeps_the_next_answer_from_being_healthy(fault):
    with Simulator(["a"]) as simulator:
        simulator.set_fault("a", fault)
        get(simulator.url("a"), 0.2)
        simulator.set_fault("a", None)
        assert ask(simulator.url("a")).outcome is None


def test_a_thousand_devices_answer_at_once():
    devices = [f"d{number}" for number in range(1000)]
    with Simulator(devices) as simulator, ThreadPoolExecutor(64) as threads:
        answers = list(threads.map(ask, map(simulator.url, devices)))
        assert all(answer.outcome is None for answer in answers)
        assert all(len(simulator.requests(device).times_ms) == 1 for device in devices)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_process_of_its_own_ends_cleanly(number):
    code = (
        "from air_pipeline.devices.simulator import Simulator, serve_forever\n"
        "simulator = Simulator(['a'])\n"
        "print(simulator.url('a'), flush=True)\n"
        "serve_forever(simulator)\n"
        "print('ended', flush=True)\n"
    )
    command = [sys.executable, "-W", "error", "-c", code]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        url = process.stdout.readline().strip()
        assert ask(url).outcome is None
        os.kill(process.pid, number)
        out, err = process.communicate(timeout=WITHIN_S)
    assert (out, err, process.returncode) == ("ended\n", "", 0)
