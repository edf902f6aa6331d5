"""A program that a power cut strikes: polls into an outbox, from there into the embedded store.

It writes "begun N" and "accepted N" into a file of its own as soon as the outbox has said so. Arguments: the state
directory, that file, how many polls.
"""

import os
import sys
from contextlib import closing
from pathlib import Path

from air_pipeline.collection.delivery import Delivery
from air_pipeline.collection.outbox import Outbox
from air_pipeline.devices.polls import Outcome, Poll
from air_pipeline.state import StateDirectory
from air_pipeline.storage.opening import open_store

FIRST_SLOT = 1_780_000_000_000
INTERVAL_MS = 10_000


def poll(number: int) -> Poll:
    """The poll of the number, whose one value is that number."""
    return Poll(
        device="a",
        observed_at=FIRST_SLOT + number * INTERVAL_MS,
        outcome=Outcome.OK,
        duration_ms=40.0,
        http_status=200,
        interval_s=INTERVAL_MS / 1000,
        values={"dht22_temperature": float(number)},
    )


def main() -> None:
    """Runs."""
    state, said, polls = StateDirectory(Path(sys.argv[1])), Path(sys.argv[2]), int(sys.argv[3])
    state.make()
    with (
        closing(Outbox(state.outbox)) as outbox,
        closing(open_store(None, state)) as store,
        said.open("ab", buffering=0) as marks,
    ):
        delivery = Delivery(outbox, store)
        for number in range(polls):
            outbox.begin({"a": poll(number).observed_at})
            outbox.add([poll(number)])
            os.write(marks.fileno(), b"accepted %d\n" % number)
            if number % 7 == 6:
                delivery.step()


if __name__ == "__main__":
    main()
