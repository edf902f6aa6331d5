"""The way to a device: which machine an address means, and what is said where there is no way to it."""

import errno
import json
import os
import selectors
import shutil
import socket
import subprocess
import sys
import threading
from datetime import UTC, datetime

import pytest

from air_pipeline.collection.asking import ask_device
from air_pipeline.devices.client import NEXT_ADDRESS_S, Exchange
from air_pipeline.devices.polls import Outcome
from air_pipeline.health.devices import finding_of
from air_pipeline.settings import Device
from air_pipeline_tests.devices.addresses_of_a_network import OURS, WAYS
from air_pipeline_tests.devices.raw_server import answering, http
from air_pipeline_tests.devices.test_exchange import nobody_accepts, to_addresses, waits_of
from air_pipeline_tests.needs import go_without
from air_pipeline_tests.waiting import WITHIN_S

SPELT = {
    "[::1]": "::1",
    "http://[::1]:80/air": "::1",
    "http://[0:0:0:0:0:0:0:1]/": "::1",
    "fd12::7": "fd12::7",
    "http://[fd12::80]/circumstances": "fd12::80",
    "http://[FD12::7:80]": "fd12::7:80",
    "http://[fd12::7:80]:80/air": "fd12::7:80",
    "http://[fd12:0:0:0:0:0:0:7]:080/x": "fd12::7",
    "http://[fe80::7%25lo]/circumstances": "fe80::7",
    "http://[::ffff:127.0.0.1]/circumstances": "127.0.0.1",
    "127.0.0.1": "127.0.0.1",
}
"""What is written, and the address that it means."""
WORDS = {
    "no-route": "Network is unreachable",
    "unreachable": "No route to host",
    "prohibit": "Permission denied",
    "blackhole": "Invalid argument",
    "no-route-6": "Network is unreachable",
    "unreachable-6": "No route to host",
    "prohibit-6": "Permission denied",
}


def needs_a_network() -> None:
    """Ends a test that cannot have a network of its own here."""
    tools = shutil.which("unshare") and shutil.which("ip")
    if not tools or subprocess.run(["unshare", "-n", "true"], check=False, capture_output=True).returncode:
        go_without("a network of its own takes root, unshare and ip")


@pytest.fixture(scope="module")
def asked() -> dict[str, dict[str, object]]:
    needs_a_network()
    script = [sys.executable, "-m", "air_pipeline_tests.devices.addresses_of_a_network", *SPELT]
    ran = subprocess.run(["unshare", "-n", *script], check=False, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    return json.loads(ran.stdout)


@pytest.mark.parametrize(("written", "meant"), SPELT.items())
def test_every_spelling_of_an_address_reaches_that_machine_and_no_other(asked, written, meant):
    assert asked["polls"][written]["values"] == {"ds18b20_temperature": OURS[meant]}, asked["polls"][written]


@pytest.mark.parametrize(("way", "words"), WORDS.items())
def test_where_there_is_no_way_the_device_is_unreachable_in_the_words_of_the_network(asked, way, words):
    polled = asked["polls"][WAYS[way]]
    assert (polled["outcome"], polled["http_status"]) == ("unreachable", None)
    assert polled["reason"].endswith(words)
    assert f"unreachable: {polled['reason']}" in asked["init"]
    assert asked["init"].count("there is no way to its network") == len(WAYS)


def test_a_look_up_that_takes_the_time_is_called_that_with_the_remedy(monkeypatch):
    """Whether it never ends, or leaves no time for the rest."""
    over = threading.Event()
    device = Device("hall", "http://hall.local/circumstances", "UTC", timeout_s=0.2)
    with answering(b"", then=b"") as silent:

        def looked_up_late(*_: object, **__: object) -> list[object]:
            over.wait(0.15)
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", silent.port))]

        monkeypatch.setattr(socket, "getaddrinfo", looked_up_late)
        late = ask_device(device)
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: over.wait(WITHIN_S))
    never = ask_device(device)
    over.set()
    for asked in (never, late):
        assert asked.poll.outcome is Outcome.TIMEOUT
        assert asked.reason.startswith("looking up the name of the device took too long")
        assert "write the IP address" in finding_of(asked, datetime.now(UTC)).remedy


def test_silent_addresses_have_a_moment_each_and_then_their_share(monkeypatch):
    """RFC 8305's idea: who refuses is left out, and who was slow at first is not given up."""
    tried: list[int] = []
    real = socket.socket.connect

    def connect(self: socket.socket, address: tuple[str, int]) -> None:
        is_slow = address[1] == slow.port and slow.port not in tried
        tried.append(address[1])
        real(self, ("127.0.0.1", silent) if is_slow else address)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        refusing = listener.getsockname()[1]
    with nobody_accepts() as silent, answering(http(b"{}")) as slow:
        monkeypatch.setattr(socket.socket, "connect", connect)
        to_addresses(monkeypatch, slow.port, refusing)
        answer, waits = waits_of(Exchange("http://device.test/", WITHIN_S))
        assert answer.body == b"{}"
    assert tried == [slow.port, refusing, slow.port]
    connecting = [seconds for events, seconds in waits if events == selectors.EVENT_WRITE]
    assert connecting[0] <= NEXT_ADDRESS_S < WITHIN_S / 2 < connecting[-1]


SILENT = {errno.ETIMEDOUT, errno.EAGAIN, errno.EALREADY}
"""But for EINPROGRESS: that a connection has begun is no failure."""
OF_THE_KERNEL = sorted(
    SILENT | {
        # connect(2), socket(2), bind(2), send(2), recv(2), tcp(7), ip(7), ipv6(7) and icmp(7) of Linux
        errno.EACCES, errno.EPERM, errno.EADDRINUSE, errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT, errno.EBADF,
        errno.ECONNREFUSED, errno.ECONNRESET, errno.ECONNABORTED, errno.EFAULT, errno.EINTR, errno.EISCONN,
        errno.ENETUNREACH, errno.ENETDOWN, errno.ENETRESET, errno.EHOSTUNREACH, errno.EHOSTDOWN, errno.ENONET,
        errno.ENOTSOCK, errno.EPROTOTYPE, errno.EPROTO, errno.EPROTONOSUPPORT, errno.EINVAL, errno.EMFILE, errno.ENFILE,
        errno.ENOBUFS, errno.ENOMEM, errno.EPIPE, errno.ENOTCONN, errno.EMSGSIZE, errno.EOPNOTSUPP, errno.ENOPROTOOPT,
        errno.EDESTADDRREQ, errno.ENODEV, errno.ENXIO, errno.EIO, errno.ESHUTDOWN, errno.ENOKEY, errno.EKEYREJECTED,
    }
)  # fmt: skip


@pytest.mark.parametrize("number", OF_THE_KERNEL, ids=errno.errorcode.get)
def test_whatever_the_kernel_says_of_a_connection_is_no_answer_in_http(monkeypatch, number):
    def connect(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(socket.socket, "connect", connect)
    answer = Exchange("http://192.168.1.32/circumstances", WITHIN_S).run()
    assert answer.outcome is (Outcome.TIMEOUT if number in SILENT else Outcome.UNREACHABLE)
    assert answer.status is None
    assert os.strerror(number) in answer.reason
    assert "(" not in answer.reason.replace(os.strerror(number), "")
