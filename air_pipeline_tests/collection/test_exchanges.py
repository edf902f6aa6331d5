"""One thread that asks many devices: none waits for another, and whatever goes wrong with one is its own."""

import selectors
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import pytest

from air_pipeline.boottime import boottime
from air_pipeline.collection import exchanges
from air_pipeline.collection.exchanges import Exchanges
from air_pipeline.collection.readiness import BySelectors
from air_pipeline.devices.answers import Answer
from air_pipeline.devices.client import Exchange
from air_pipeline.devices.polls import Outcome
from air_pipeline.devices.simulator import Simulator
from air_pipeline.devices.steps import Steps, Wait
from air_pipeline.settings import Access
from air_pipeline_tests.devices.raw_server import answering, http
from air_pipeline_tests.waiting import WITHIN_S, wait_for

NAMES = [f"d{number}" for number in range(300)]


@pytest.fixture(params=["epoll", "selectors"], autouse=True)
def system(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that has epoll, and one that has not."""
    if request.param != "epoll":
        monkeypatch.setattr(exchanges, "readiness", BySelectors)


@pytest.fixture(scope="module")
def simulator() -> Iterator[Simulator]:
    with Simulator(NAMES) as running:
        yield running


def noting(answers: list[Answer], exchange: Exchange) -> Steps[None]:
    answers.append((yield from exchange.steps()))


def threads() -> set[threading.Thread]:
    """Those of this kind that there are; other tests may have left some that wait."""
    return {thread for thread in threading.enumerate() if thread.name == "exchanges"}


def test_devices_are_asked_at_once_by_one_thread_and_those_that_hang_hold_up_none(simulator: Simulator) -> None:
    well, hanging = list[Answer](), list[Answer]()
    for name in NAMES[::3]:
        simulator.set_fault(name, "hang")
    asked = [Exchange(simulator.url(name), 10 * WITHIN_S) for name in NAMES]
    before = threads()
    together = Exchanges()
    together.submit(noting(hanging if n % 3 == 0 else well, one) for n, one in enumerate(asked))
    wait_for(lambda: len(well) == 200, "those that answer")
    assert len(threads() - before) == 1
    assert {answer.outcome for answer in well} == {None}
    wait_for(lambda: all(simulator.requests(name).open_now for name in NAMES[::3]), "those that hang, all asked")
    assert hanging == []
    for one in asked[::3]:
        one.abort()
    wait_for(lambda: len(hanging) == 100, "the end of those that hang")
    assert {answer.outcome for answer in hanging} == {Outcome.TIMEOUT}
    for name in NAMES[::3]:
        simulator.set_fault(name, None)
    together.submit([noting(well, Exchange(simulator.url(NAMES[0]), WITHIN_S))])
    wait_for(lambda: len(well) == 201, "one more")


def test_what_nobody_ends_ends_at_its_deadline(simulator: Simulator) -> None:
    simulator.set_fault(NAMES[0], "hang")
    answers: list[Answer] = []
    Exchanges().submit([noting(answers, Exchange(simulator.url(NAMES[0]), 0.2))])
    wait_for(lambda: answers, "the end of one that hangs")
    assert answers[0].outcome is Outcome.TIMEOUT
    simulator.set_fault(NAMES[0], None)


def test_a_connection_that_gets_the_number_of_the_one_before_it_is_waited_for() -> None:
    """A challenge is answered on a connection of its own; the number of the first one is free by then."""
    challenge = http(b"", 'WWW-Authenticate: Basic realm="air"', status="401 Unauthorized")
    answers: list[Answer] = []
    with answering(challenge) as server:
        asked = [Exchange(f"{server.url}?{n}", WITHIN_S, Access("anna", "secret")) for n in range(20)]
        Exchanges().submit(noting(answers, one) for one in asked)
        wait_for(lambda: len(answers) == 20, "the answers")
    assert len(server.requests) == 40
    assert {answer.reason.partition("; ")[2] for answer in answers} == {"it does not take this user and password"}


def closed() -> socket.socket:
    with socket.socket() as one:
        return one


def a_file_that_cannot_be_waited_for() -> Steps[None]:
    yield Wait(closed(), selectors.EVENT_READ, boottime() + WITHIN_S)


def one_that_raises() -> Steps[None]:
    raise ValueError("odd")
    yield


@pytest.mark.parametrize("odd", [a_file_that_cannot_be_waited_for, one_that_raises])
def test_what_goes_wrong_with_one_is_its_own(simulator: Simulator, odd: Callable[[], Steps[None]]) -> None:
    answers: list[Answer] = []
    ended = threading.Event()

    def told() -> Steps[None]:
        try:
            yield from odd()
        finally:
            ended.set()

    together = Exchanges()
    together.submit([noting(answers, Exchange(simulator.url(NAMES[1]), WITHIN_S)), told()])
    together.submit([told(), noting(answers, Exchange(simulator.url(NAMES[2]), WITHIN_S))])
    wait_for(lambda: len(answers) == 2 and ended.is_set(), "the answers of the others")
    assert [answer.outcome for answer in answers] == [None, None]


def test_a_socket_that_another_process_has_inherited_holds_up_none(simulator: Simulator) -> None:
    here, there = socket.socketpair()
    answers: list[Answer] = []

    def closing_its_own() -> Steps[None]:
        with here:
            yield Wait(here, selectors.EVENT_READ, boottime() + WITHIN_S)

    with there, here.dup():
        together = Exchanges()
        together.submit([closing_its_own()])
        there.send(b"which nobody reads")
        wait_for(lambda: here.fileno() < 0, "its end")
        together.submit([noting(answers, Exchange(simulator.url(NAMES[1]), WITHIN_S))])
        wait_for(lambda: answers, "the answer of another")
    assert answers[0].outcome is None


def test_its_thread_ends_when_there_is_nothing_to_do_and_comes_back(
    simulator: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exchanges, "IDLE_S", 0.0)
    monkeypatch.setattr(exchanges, "LOOK_EVERY_S", 0.01)
    before = threads()
    together, answers = Exchanges(), list[Answer]()
    for number in range(3):
        together.submit([noting(answers, Exchange(simulator.url(NAMES[number]), WITHIN_S))])
        wait_for(lambda: not threads() - before, "the end of its thread")
    assert [answer.outcome for answer in answers] == [None] * 3


def test_where_there_is_no_thread_for_now_what_was_to_be_asked_is_asked_when_there_is_one(
    simulator: Simulator, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    together, answers = Exchanges(), list[Answer]()
    ask = partial(noting, answers)

    def refuse(_: object) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as limited:
        limited.setattr(threading.Thread, "start", refuse)
        for name in NAMES[:3]:
            together.submit([ask(Exchange(simulator.url(name), WITHIN_S))])
    assert caplog.text.count("gives no thread") == 1
    together.submit([ask(Exchange(simulator.url(NAMES[3]), WITHIN_S))])
    wait_for(lambda: len(answers) == 4, "all of them")


def test_without_descriptors_nothing_is_asked_and_then_again(simulator: Simulator) -> None:
    """And what was asked of the thread is not lost: its steps end."""
    import resource

    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    answers: list[Answer] = []
    together = Exchanges()
    together.submit([noting(answers, Exchange(simulator.url(NAMES[0]), WITHIN_S))])
    wait_for(lambda: answers, "an answer")
    with ExitStack() as none_left:
        resource.setrlimit(resource.RLIMIT_NOFILE, (256, limits[1]))
        none_left.callback(resource.setrlimit, resource.RLIMIT_NOFILE, limits)
        try:
            while True:
                none_left.enter_context(Path("/dev/null").open())
        except OSError:
            pass
        together.submit([noting(answers, Exchange(simulator.url(NAMES[1]), WITHIN_S))])
        wait_for(lambda: len(answers) == 2, "the end of what could not be asked")
    together.submit([noting(answers, Exchange(simulator.url(NAMES[2]), WITHIN_S))])
    wait_for(lambda: len(answers) == 3, "an answer")
    assert [answer.outcome for answer in answers] == [None, Outcome.UNREACHABLE, None]
