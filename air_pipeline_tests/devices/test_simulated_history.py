"""The past of a simulated device is what a collector would have made of it."""

from datetime import UTC, datetime

import pytest

from air_pipeline.devices.assemble import make_poll
from air_pipeline.devices.client import Exchange
from air_pipeline.devices.polls import Outcome
from air_pipeline.devices.simulator import FAULTS, Fault, Flaky, Profile, Simulator
from air_pipeline.devices.simulator.history import polls_between
from air_pipeline.settings import Device
from air_pipeline_tests.waiting import WITHIN_S

SLOT = 1_780_000_000_000
QUICK = {"slow": {"seconds": 0.01}, "drip_headers": {"seconds": 0.0001}, "drip_body": {"seconds": 0.0001}}


def device(**changes):
    return Device("a", "http://127.0.0.1:1/", "Europe/Warsaw", timeout_s=0.5, **changes)


@pytest.mark.parametrize("name", FAULTS)
def test_a_poll_of_the_past_is_what_the_client_makes_of_the_same_fault(name):
    fault = Fault(name, QUICK.get(name, {}), since_s=SLOT / 1000 - 60)
    (past,) = polls_between(device(), Profile("a"), SLOT, SLOT + 1, lambda *_: fault)
    patience_s = device().timeout_s if past.outcome is Outcome.TIMEOUT else WITHIN_S
    with Simulator(["a"], clock=lambda: SLOT / 1000) as simulator:
        simulator.set_fault("a", fault)
        real, _ = make_poll(device(), SLOT, Exchange(simulator.url("a"), patience_s).run(), 40.0)
    if real.http_status != past.http_status:  # a status line that came before the rest did not
        assert (name, past.http_status) in {("reset", None), ("truncate", None)}
    assert (past.outcome, past.values, past.problems, past.body) == (
        real.outcome,
        real.values,
        real.problems,
        real.body,
    )


def test_what_takes_longer_than_the_timeout_is_a_timeout_of_that_length():
    for name in ("hang", "slow", "drip_headers", "drip_body"):
        (poll,) = polls_between(device(), Profile("a"), SLOT, SLOT + 1, lambda *_, name=name: Fault(name))
        assert (poll.outcome, poll.duration_ms) == (Outcome.TIMEOUT, 500.0)


def test_a_rejected_body_that_comes_again_is_kept_once():
    polls = list(polls_between(device(), Profile("a"), SLOT, SLOT + 30_000, lambda *_: Fault("login_page")))
    assert [poll.body is not None for poll in polls] == [True, False, False]


def test_only_the_devices_that_are_named_fail():
    flaky = Flaky(1.0, faults=("refuse",), devices=("b",))
    assert [poll.outcome for poll in polls_between(device(), Profile("a"), SLOT, SLOT + 1, flaky.fault_at)] == ["ok"]
    assert flaky.fault_at("b", datetime(2026, 1, 1, tzinfo=UTC).timestamp()) == Fault("refuse")
