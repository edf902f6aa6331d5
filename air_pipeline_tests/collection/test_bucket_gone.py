"""A bucket that somebody deletes under a running collector, and makes again."""

import os
import signal
import time
from collections import Counter
from contextlib import closing
from pathlib import Path

import pytest

from air_pipeline.collection.outbox import Outbox
from air_pipeline.devices.simulator import Simulator
from air_pipeline.environment import Environment, read_environment
from air_pipeline.storage.opening import open_store
from air_pipeline_tests.collection.collector_process import running_collector, waiting, write_config
from air_pipeline_tests.influxdb_server import InfluxServer
from air_pipeline_tests.waiting import WITHIN_S, wait_for

pytestmark = [pytest.mark.slow, pytest.mark.influxdb]

POLLS_WITHOUT_A_BUCKET = 10


def stored(environment: Environment) -> Counter[tuple[str, int]]:
    """How often each slot (s) of each device is in the store."""
    found: Counter[tuple[str, int]] = Counter()
    with closing(open_store(environment.influxdb, environment.state)) as store:
        for device in ("a", "b"):
            slots = store.polls(device, 0, 10**14).index
            found.update((device, int(at.timestamp())) for at in slots)
    return found


def said_of_the_store(environment: Environment) -> str:
    with closing(Outbox(environment.state.outbox, make=False)) as outbox:
        return outbox.status().error


@pytest.mark.parametrize("may_make_it", [False, True], ids=["a token of the bucket", "a token with every right"])
def test_a_bucket_that_is_deleted_under_a_collector_and_made_again_gets_every_poll(
    tmp_path: Path, influxdb: InfluxServer, monkeypatch: pytest.MonkeyPatch, may_make_it: bool
) -> None:
    """What was in it is gone with it; what was polled since then is in the new one, once."""
    bucket, token = influxdb.make_bucket(), tmp_path / "token"
    token.write_text(influxdb.token if may_make_it else influxdb.make_token(bucket, "read", "write"), encoding="utf-8")
    variables = {"URL": influxdb.url, "TOKEN_FILE": str(token), "ORG": influxdb.org, "BUCKET": bucket}
    for name, value in variables.items():
        monkeypatch.setenv(f"INFLUXDB_V2_{name}", value)
    monkeypatch.setenv("AIR_PIPELINE_CONFIG", str(tmp_path / "devices.yaml"))
    monkeypatch.setenv("AIR_PIPELINE_STATE", str(tmp_path / "state"))
    environment = read_environment(dict(os.environ))
    with Simulator(["a", "b"]) as simulator:
        write_config(environment.config, simulator, "a", "b")
        with running_collector(environment) as process:
            wait_for(lambda: environment.state.outbox.exists() and len(stored(environment)) >= 4, "polls in the bucket")
            influxdb.delete_bucket(bucket)
            deleted = time.time()
            if not may_make_it:
                wait_for(lambda: len(waiting(environment)) >= POLLS_WITHOUT_A_BUCKET, "polls that wait")
                assert bucket in said_of_the_store(environment)
                assert influxdb.bucket(bucket) is None
                influxdb.make_bucket(bucket)
                token.write_text(influxdb.make_token(bucket, "read", "write"), encoding="utf-8")
                waited = waiting(environment)
            else:
                wait_for(lambda: influxdb.bucket(bucket), "the bucket that the collector makes")
                waited = set()
            environment = read_environment(dict(os.environ))  # with the token of now
            wait_for(lambda: waited <= stored(environment).keys(), "what had waited in the new bucket")
            wait_for(lambda: len(stored(environment)) >= POLLS_WITHOUT_A_BUCKET, "polls in the new bucket")
            process.send_signal(signal.SIGTERM)
            assert process.wait(WITHIN_S) == 0
    assert waiting(environment) == set()
    found = stored(environment)
    assert set(found.values()) == {1}
    for device in ("a", "b"):
        slots = sorted(slot for name, slot in found if name == device)
        assert slots == list(range(slots[0], slots[-1] + 1))
        assert slots[0] <= deleted + 1  # the first slot that did not come into the old one
