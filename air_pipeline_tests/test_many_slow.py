"""Many machines: Postgres, Celery on Redis, InfluxDB, an object store; and what becomes of it when one is killed.

The worker sees nothing of the head's files; the collector is a third machine's.
"""

import socket
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import psutil
import pytest

from air_pipeline.devices.simulator import Simulator
from air_pipeline_tests.influxdb_server import InfluxServer
from air_pipeline_tests.many_machines import (
    Machine,
    Service,
    collector_of,
    is_root,
    running,
    wait_until_ready,
    worker_of,
)
from air_pipeline_tests.many_servers import Server, running_postgres, running_redis
from air_pipeline_tests.object_store import ObjectStore, object_store
from air_pipeline_tests.running_pipeline import (
    DAY_TABLES,
    INTERVALS,
    Installation,
    Pipeline,
    now_ms,
    running_pipeline,
    today,
    write_devices,
)
from air_pipeline_tests.waiting import wait_for

pytestmark = [pytest.mark.slow, pytest.mark.skipif(not is_root(), reason="only root hides files from a process")]

DAYS = [today() - timedelta(days=number) for number in range(4, 1, -1)]
_NAMES = [f"date={day}" for day in DAYS]


@dataclass(frozen=True)
class Many:
    """Everything that runs."""

    influxdb: InfluxServer
    redis: Server
    objects: ObjectStore
    head: Machine
    edge: Machine
    local: Installation
    worker: Service
    collector: Service
    pipeline: Pipeline

    def is_well(self, check: str) -> bool | None:
        """Whether a check of what is collected passed last; None where it was never made."""
        return self.pipeline.check(check).get("success")

    def said(self, check: str) -> str:
        """What it said."""
        return str(self.pipeline.check(check)["description"])

    def committed(self) -> list[int]:
        """How often each day was committed."""
        asked = [one.partition("?")[0] for one in self.objects.asked]
        return [sum(one.startswith("PUT ") and one.endswith(f"/{day}/built.json") for one in asked) for day in _NAMES]

    def backfilled(self, backfill: str) -> bool:
        """Whether a backfill has come to its end; fails if it does."""
        status = self.pipeline.backfill_status(backfill)
        assert "FAIL" not in status, status
        return status == "COMPLETED_SUCCESS"


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory, influxdb_server: InfluxServer) -> Iterator[Many]:
    folder = tmp_path_factory.mktemp("many")
    connection = influxdb_server.connection()
    with ExitStack() as stack:
        postgres = stack.enter_context(running_postgres())
        redis = stack.enter_context(running_redis(folder / "redis"))
        objects = stack.enter_context(object_store())
        store = {
            "INFLUXDB_V2_URL": connection.url,
            "INFLUXDB_V2_TOKEN": connection.token,
            "INFLUXDB_V2_ORG": connection.org,
            "INFLUXDB_V2_BUCKET": connection.bucket,
        }
        common = (
            store
            | postgres
            | {
                "CELERY_BROKER_URL": f"redis://127.0.0.1:{redis.port}/0",
                "CELERY_RESULT_BACKEND": f"redis://127.0.0.1:{redis.port}/1",
                "AIR_PIPELINE_DATA": str(objects.bucket()),
                **objects.variables,
            }
        )
        simulator = stack.enter_context(Simulator(INTERVALS))
        head, elsewhere, edge = (Machine(folder / name, common) for name in ("head", "elsewhere", "edge"))
        local = Installation(folder / "local", store)
        local.folder.mkdir()
        for machine in (head, elsewhere, edge, local):
            write_devices(machine.config, simulator, INTERVALS, DAYS[0])
            with machine.config.open("a", encoding="utf-8") as config:
                config.write("collector: external\n")
        local.seed(0, [*DAYS, DAYS[-1] + timedelta(days=1)], 60_000)
        collector = stack.enter_context(running(collector_of(edge)))
        worker = stack.enter_context(running(worker_of(elsewhere, head)))
        pipeline = stack.enter_context(running_pipeline(head))
        wait_until_ready(worker)
        yield Many(influxdb_server, redis, objects, head, edge, local, worker, collector, pipeline)


def test_a_backfill_gives_the_bytes_of_a_local_build(many: Many) -> None:
    """By a worker that sees no file of who asked for it."""
    backfill = many.pipeline.backfill(DAYS)
    wait_for(lambda: many.backfilled(backfill), "the end of the backfill")
    built = many.local.run("build", "--to", str(DAYS[-1]))
    assert built.returncode == 0, built.stderr
    for day in DAYS:
        for table in DAY_TABLES:
            assert many.objects.read(many.head.file(table, day)) == many.local.file(table, day).read_bytes(), (
                table,
                day,
            )


def test_a_run_whose_process_is_killed_is_noticed_and_tried_again(many: Many) -> None:
    def killed() -> list[str]:
        """The runs that failed as their process was killed; one may have been too fast."""
        many.pipeline.backfill(DAYS[:1])
        wait_for(lambda: many.pipeline.runs("STARTED"), "a run that has begun")
        for child in many.worker.children():
            with suppress(psutil.NoSuchProcess):
                child.kill()
        wait_for(lambda: not many.pipeline.runs("STARTED"), "its end")
        return many.pipeline.runs("FAILURE")

    before = many.committed()
    [failed, *_] = wait_for(killed, "a run that was killed")
    assert "Celery task failed" in many.pipeline.said_by_run(failed)
    wait_for(lambda: many.committed()[0] > before[0], "the day, by itself")


def test_a_collector_that_is_killed_is_named_and_loses_nothing_else(many: Many) -> None:
    since = now_ms()
    many.edge.wait_for_slots(since)
    wait_for(lambda: many.is_well("collector_running"), "a collector that runs")
    many.collector.kill()
    last = max(slot for _, slot in many.edge.accepted(INTERVALS, since))
    wait_for(lambda: many.is_well("collector_running") is False, "that it is noticed")
    assert "main, which runs elsewhere, has told nothing since" in many.said("collector_running")
    many.collector.start()
    wait_for(lambda: many.is_well("collector_running"), "that it runs again")
    assert many.edge.gaps(since, last) == set()


def test_an_influxdb_that_is_killed_costs_no_slot(many: Many) -> None:
    since = now_ms()
    many.edge.wait_for_slots(since)
    many.influxdb.kill()
    wait_for(lambda: len(many.edge.waiting()) > 4, "polls that wait")
    wait_for(lambda: many.is_well("store_answering") is False, "that it is noticed")
    assert "gives no answer" in many.said("store_answering")
    many.influxdb.start()
    wait_for(lambda: not many.edge.waiting(), "delivery")
    wait_for(lambda: many.is_well("store_answering"), "that it is well again")
    assert many.edge.gaps(since) == set()


def test_runs_that_wait_in_a_redis_that_is_killed_are_done(many: Many) -> None:
    before = many.committed()
    backfill = many.pipeline.backfill(DAYS)
    wait_for(lambda: many.pipeline.runs("STARTED"), "a run that has begun")
    many.redis.kill()
    many.redis.start()

    def done() -> bool:
        many.worker.keep()  # Celery ends when its broker does
        return many.backfilled(backfill)

    wait_for(done, "the end of the backfill")
    assert all(one > other for one, other in zip(many.committed(), before, strict=True))


def test_an_object_store_that_is_killed_in_the_middle_of_a_put_has_the_old_day_and_then_the_new_one(many: Many) -> None:
    day = DAYS[0]
    before = many.objects.read(many.head.file("observations", day))
    died: list[str] = []

    def dying(asked: str, environ: dict[str, Any]) -> None:
        """From the first table that is put there on, nobody is answered."""
        if died or (asked.startswith("PUT ") and "/observations/" in asked):
            environ["wsgi.input"].read(1_000)
            environ["werkzeug.socket"].shutdown(socket.SHUT_RDWR)
            died.append(asked)

    many.objects.meanwhile = dying
    commits = many.committed()
    backfill = many.pipeline.backfill([day])
    wait_for(lambda: len(died) > 1, "an attempt after the one in the middle of which it died")
    many.objects.meanwhile = lambda _asked, _environ: None
    assert many.objects.read(many.head.file("observations", day)) == before
    wait_for(lambda: many.backfilled(backfill), "the end of the backfill")
    assert many.committed()[0] > commits[0]
    assert many.objects.read(many.head.file("observations", day)) == before  # the same bytes again
