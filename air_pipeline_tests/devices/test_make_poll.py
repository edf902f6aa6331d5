"""What a poll keeps of an answer."""

import pytest

from air_pipeline.catalogue import STATION
from air_pipeline.devices.answers import Answer
from air_pipeline.devices.assemble import MAX_KEPT_BODY_BYTES, make_poll
from air_pipeline.devices.polls import Outcome, poll_from_json, poll_to_json
from air_pipeline.devices.simulator import Profile, document_at
from air_pipeline.settings import Device

DEVICE = Device("living-room", "http://192.168.1.32/circumstances", "Europe/Warsaw", interval_ms=1500)
SLOT_MS = 1_780_000_000_000


def test_a_healthy_answer_is_a_poll_with_values():
    body = document_at(Profile("living-room"), SLOT_MS)
    poll, document = make_poll(DEVICE, SLOT_MS, Answer(None, 200, body), 41.4)
    assert document is not None
    assert (poll.device, poll.observed_at, poll.outcome) == ("living-room", SLOT_MS, Outcome.OK)
    assert (poll.duration_ms, poll.interval_s, poll.http_status) == (41.0, 1.5, 200)
    assert len(poll.values) == len(STATION)
    assert (poll.problems, poll.body) == ((), None)
    assert poll_from_json(poll_to_json(poll)) == poll


@pytest.mark.parametrize("outcome", [Outcome.TIMEOUT, Outcome.HTTP_ERROR, Outcome.UNREACHABLE, Outcome.TOO_LARGE])
def test_an_answer_that_did_not_come_is_a_poll_without_anything_else(outcome):
    poll, document = make_poll(DEVICE, SLOT_MS, Answer(outcome, 500, reason="x"), 5000.6)
    assert document is None
    assert (poll.outcome, poll.http_status, poll.duration_ms) == (outcome, 500, 5001.0)
    assert (dict(poll.values), poll.problems, poll.body) == ({}, (), None)


def test_a_rejected_document_is_kept_in_part():
    poll, document = make_poll(DEVICE, SLOT_MS, Answer(None, 200, b"<html>\0\xff" + b"x" * 5000), 10.0)
    assert document is not None
    assert document.rejection
    assert poll.outcome is Outcome.REJECTED
    assert poll.body is not None
    assert poll.body.startswith("<html>\ufffd\ufffdxxx")
    assert len(poll.body) == MAX_KEPT_BODY_BYTES
    assert dict(poll.values) == {}


def test_a_document_without_a_usable_value_is_rejected_with_its_problems():
    poll, _ = make_poll(DEVICE, SLOT_MS, Answer(None, 200, b'{"nodemcu":{"dht22":{"humidity":"inf"}}}'), 10.0)
    assert poll.outcome is Outcome.REJECTED
    assert len(poll.problems) == len(STATION)
    assert poll.body == '{"nodemcu":{"dht22":{"humidity":"inf"}}}'


def test_a_body_that_cannot_be_decompressed_is_rejected():
    poll, _ = make_poll(
        DEVICE, SLOT_MS, Answer(Outcome.REJECTED, 200, reason="the body is not encoded as it says"), 1.0
    )
    assert (poll.outcome, poll.body) == (Outcome.REJECTED, None)
