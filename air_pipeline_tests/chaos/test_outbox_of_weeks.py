"""An outbox of weeks of outage: ten million polls."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from air_pipeline.collection.outbox import Outbox
from air_pipeline.devices.polls import Outcome, Poll, poll_to_json
from air_pipeline_tests.collection.held_clock import SLOT
from air_pipeline_tests.collection.test_delivering import steps_of

POLLS = 10_000_000
_AT_ONCE = 500_000


@pytest.mark.chaos
def test_ten_million_polls_that_wait_are_looked_at_as_fast_as_ten(tmp_path: Path) -> None:
    path = tmp_path / "outbox.sqlite"
    text = poll_to_json(Poll("a", SLOT, Outcome.OK, 40.0, 10.0, 200, {"dht22_temperature": 20.5}))
    with closing(Outbox(path)) as box:
        box.add([Poll("a", SLOT, Outcome.OK, 40.0, 10.0, 200)] * 10)
        few = [steps_of(box.status, box), steps_of(lambda: box.batch(5, newest=True), box)]
    with closing(sqlite3.connect(path)) as other:
        other.execute("PRAGMA synchronous = OFF")
        for first in range(0, POLLS, _AT_ONCE):
            with other:
                other.execute(
                    "WITH RECURSIVE n (i) AS (SELECT ?1 UNION ALL SELECT i + 1 FROM n WHERE i < ?1 + ?2 - 1)"
                    " INSERT INTO outbox (observed_at, poll) SELECT ?3 + i * 1000, ?4 FROM n",
                    (first, _AT_ONCE, SLOT, text),
                )
    with closing(Outbox(path)) as box:
        status = box.status()
        assert (status.pending, status.oldest) == (POLLS + 10, SLOT)
        assert [steps_of(box.status, box), steps_of(lambda: box.batch(5, newest=True), box)] == few
