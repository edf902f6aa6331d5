"""Many machines: Postgres, Celery on Redis, InfluxDB, an object store; and what becomes of it when one is killed.

The worker sees nothing of the head's files. Each collector is at a site of its own, whose device nobody else reaches.
"""

import json
import re
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from itertools import permutations
from urllib.parse import urlsplit

import psutil
import pytest

from air_pipeline.places import ObjectAddress
from air_pipeline_tests.influxdb_server import InfluxServer
from air_pipeline_tests.many_machines import (
    Edge,
    Machine,
    Service,
    is_reached,
    running,
    wait_until_ready,
    worker_of,
    write_edges,
)
from air_pipeline_tests.many_servers import Server, running_postgres, running_redis
from air_pipeline_tests.needs import need_root
from air_pipeline_tests.object_store import ObjectStore, object_store
from air_pipeline_tests.running_pipeline import (
    DAY_TABLES,
    INTERVALS,
    Installation,
    Pipeline,
    now_ms,
    running_pipeline,
    today,
)
from air_pipeline_tests.sites import inside, sites
from air_pipeline_tests.tcp_proxy import Proxy, half_of_a_body, proxy
from air_pipeline_tests.waiting import wait_for

pytestmark = pytest.mark.slow

_LOST = "WorkerLostError"
"""What Celery says of a task whose process ended."""
DAYS = [today() - timedelta(days=number) for number in range(4, 1, -1)]
_NAMES = [f"date={day}" for day in DAYS]


@dataclass(frozen=True)
class Many:
    """Everything that runs."""

    influxdb: InfluxServer
    redis: Server
    objects: ObjectStore
    logs: ObjectAddress
    to_objects: Proxy
    head: Machine
    edges: tuple[Edge, ...]
    local: Installation
    worker: Service
    pipeline: Pipeline

    def is_well(self, check: str, asset: str = "raw_readings") -> bool | None:
        """Whether a check passed last; None where it was never made."""
        return self.pipeline.check(check, asset).get("success")

    def said(self, check: str, asset: str = "raw_readings") -> str:
        """What it said."""
        return str(self.pipeline.check(check, asset)["description"])

    def wait_until_named(self, check: str, what: str) -> None:
        """Waits until a check of what days need has failed, and says it."""
        wait_for(lambda: self.is_well(check, "daily_aggregates") is False, f"that {check} notices it")
        assert what in self.said(check, "daily_aggregates").replace("\\", "")  # as the Markdown is read

    def wait_until_well(self, check: str) -> None:
        """Waits until such a check has passed."""

        def is_well() -> bool | None:
            self.worker.keep()  # Celery ends when its broker does
            return self.is_well(check, "daily_aggregates")

        wait_for(is_well, f"that {check} is well again")

    def wait_for_slots(self, since: int) -> None:
        """Waits for an accepted slot of each device since then, ms."""
        for edge in self.edges:
            edge.wait_for_slots(since, edge.intervals)

    def committed(self) -> list[int]:
        """How often each day was committed."""
        asked = [one.partition("?")[0] for one in self.objects.asked]
        return [sum(one.startswith("PUT ") and one.endswith(f"/{day}/built.json") for one in asked) for day in _NAMES]

    def printed(self, run: str) -> str:
        """What the head's UI shows of what a run wrote to stderr."""
        [key] = [event["fileKey"] for event in self.pipeline.ask(_CAPTURED, id=run)["logsForRun"]["events"] if event]
        shown = self.pipeline.ask(_PRINTED, key=[run, "compute_logs", key])["capturedLogs"]["stderr"]
        kept = self.objects.read(self.logs / f"storage/{run}/compute_logs/{key}.err").decode()
        assert shown == kept
        return kept

    def wait_for_days(self, backfill: str, before: Sequence[int]) -> None:
        """Waits for the days of a backfill, one after the other, and for its end; fails if it does."""

        def so_far(number: int) -> bool:
            self.worker.keep()
            is_done = self.backfilled(backfill)
            return is_done or sum(now > one for now, one in zip(self.committed(), before, strict=True)) >= number

        for number in range(1, len(DAYS) + 1):
            wait_for(partial(so_far, number), f"day {number} of {len(DAYS)} of the backfill")
        wait_for(partial(so_far, len(DAYS) + 1), "the end of the backfill")

    def backfilled(self, backfill: str) -> bool:
        """Whether a backfill has come to its end; fails if it does."""
        status = self.pipeline.backfill_status(backfill)
        assert "FAIL" not in status, status
        return status == "COMPLETED_SUCCESS"


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory, influxdb_server: InfluxServer) -> Iterator[Many]:
    need_root("only root hides files and makes networks")
    folder = tmp_path_factory.mktemp("many")
    connection = influxdb_server.connection()
    with ExitStack() as stack:
        here, places = stack.enter_context(sites(len(INTERVALS)))
        postgres = stack.enter_context(running_postgres())
        redis = stack.enter_context(running_redis(folder / "redis"))
        objects = stack.enter_context(object_store())
        logs = objects.bucket()
        to_objects = stack.enter_context(proxy(objects.server.server_port))
        to_influxdb = stack.enter_context(proxy(urlsplit(connection.url).port or 0, here))
        store = {
            "INFLUXDB_V2_URL": connection.url,
            "INFLUXDB_V2_TOKEN": connection.token,
            "INFLUXDB_V2_ORG": connection.org,
            "INFLUXDB_V2_BUCKET": connection.bucket,
        }
        from_sites = store | {"INFLUXDB_V2_URL": to_influxdb.url}
        common = (
            store
            | postgres
            | {
                "CELERY_BROKER_URL": f"redis://127.0.0.1:{redis.port}/0",
                "CELERY_RESULT_BACKEND": f"redis://127.0.0.1:{redis.port}/1",
                "AIR_PIPELINE_DATA": str(objects.bucket()),
                **objects.variables,
                "AWS_ENDPOINT_URL_S3": to_objects.url,
                "DAGSTER_LOGS_BUCKET": urlsplit(logs.url).netloc,
                "DAGSTER_LOGS_PREFIX": urlsplit(logs.url).path,
            }
        )
        head, elsewhere = (Machine(folder / name, common) for name in ("head", "elsewhere"))
        edges = [
            Edge(folder / f"edge-{number}", site, device, from_sites)
            for number, (site, device) in enumerate(zip(places, INTERVALS, strict=True), 1)
        ]
        local = Installation(folder / "local", store)
        local.folder.mkdir()
        for machine in (head, elsewhere, *edges, local):
            write_edges(machine.config, edges, DAYS[0])
        local.seed(0, [*DAYS, DAYS[-1] + timedelta(days=1)], 60_000)
        for edge in edges:
            stack.enter_context(edge.running())
        worker = stack.enter_context(running(worker_of(elsewhere, head)))
        pipeline = stack.enter_context(running_pipeline(head))
        wait_until_ready(worker)
        yield Many(influxdb_server, redis, objects, logs, to_objects, head, tuple(edges), local, worker, pipeline)


def test_nobody_asks_a_device_that_is_not_its_own(many: Many) -> None:
    """Nobody could, and whoever tried would have said that it is not reached, over what its own collector says."""
    for edge, other in permutations(many.edges):
        assert not is_reached(inside(edge.site.collector), other.site)
        assert not is_reached([], other.site)
    since = now_ms()
    many.wait_for_slots(since)
    wait_for(lambda: many.is_well("collectors_agree"), "collectors that agree")
    for edge in many.edges:
        found = wait_for(lambda edge=edge: edge.outcomes(since), "its polls in the store")
        assert "unreachable" not in found


def test_a_backfill_gives_the_bytes_of_a_local_build(many: Many) -> None:
    """By a worker that sees no file of who asked for it."""
    many.wait_for_days(many.pipeline.backfill(DAYS), many.committed())
    built = many.local.run("build", "--to", str(DAYS[-1]))
    assert built.returncode == 0, built.stderr
    for day in DAYS:
        for table in DAY_TABLES:
            assert many.objects.read(many.head.file(table, day)) == many.local.file(table, day).read_bytes(), (
                table,
                day,
            )


def test_what_a_run_prints_is_in_the_object_store_and_the_head_shows_it(many: Many) -> None:
    runs = many.pipeline.runs("SUCCESS")
    assert len(runs) >= len(DAYS)
    for run in runs:
        printed = many.printed(run)
        for table in DAY_TABLES:
            assert re.search(rf"{run}.* {table} - STEP_SUCCESS", printed), printed


def test_a_worker_with_other_settings_does_not_build_and_says_so(many: Many) -> None:
    """Also what is launched from an asset's page, which says nothing of settings by itself."""
    before, config = set(many.pipeline.runs("FAILURE")), many.worker.machine.config
    same, commits = config.read_text(encoding="utf-8"), many.committed()
    config.write_text(f"{same}    expected_range: {{dht22_temperature: [5, 40]}}\n", encoding="utf-8")
    try:
        many.pipeline.backfill(DAYS[:1])
        [run, *_] = wait_for(lambda: sorted(set(many.pipeline.runs("FAILURE")) - before), "a run that fails")
    finally:
        config.write_text(same, encoding="utf-8")
    assert f"({config}, or the marks.yaml beside it) is not that of the code server ({many.head.config})" in " ".join(
        many.printed(run).split()
    )
    assert many.committed() == commits
    many.wait_for_days(many.pipeline.backfill(DAYS[:1]), commits)


def test_a_run_whose_process_is_killed_is_named_and_tried_again(many: Many) -> None:
    def killed() -> str:
        """A run that failed as its process was killed; one may have been too fast."""
        many.pipeline.backfill(DAYS[:1])
        [run, *_] = wait_for(lambda: many.pipeline.runs("STARTED"), "a run that has begun")
        process = wait_for(lambda: re.search(r"\(pid: (\d+)\)", many.pipeline.said_by_run(run)), "its process")
        lost = many.worker.said.count(_LOST)
        for child in many.worker.children():
            if child.pid == int(process[1]):
                with suppress(psutil.NoSuchProcess):
                    child.kill()
        wait_for(
            lambda: many.worker.said.count(_LOST) > lost or run not in many.pipeline.runs_under_way(),
            "that its worker notices it",
        )
        many.worker.pause()  # so that nobody takes the run that tries it again
        wait_for(lambda: run not in many.pipeline.runs_under_way(), "its end")
        if run in many.pipeline.runs("FAILURE"):
            return run
        many.worker.resume()
        return ""

    before = many.committed()
    failed = wait_for(killed, "a run that was killed")
    assert "Celery task failed" in many.pipeline.said_by_run(failed)
    told = json.loads(many.head.run("doctor", "--json").stdout)
    named = f"{DAYS[0]} (see run {failed[:8]} in the UI)"
    assert [one for one in told if one["level"] == "failure" and named in one["text"]], told
    many.worker.resume()
    wait_for(lambda: many.committed()[0] > before[0], "the day, by itself")


def test_a_collector_that_is_killed_is_named_and_loses_nothing_else(many: Many) -> None:
    edge, *others = many.edges
    since = now_ms()
    many.wait_for_slots(since)
    wait_for(lambda: many.is_well("collector_running"), "collectors that run")
    edge.collector_service.kill()
    last = max(slot for _, slot in edge.accepted(edge.intervals, since))
    wait_for(lambda: many.is_well("collector_running") is False, "that it is noticed")
    said = many.said("collector_running")
    assert "edge-1, which runs elsewhere, has told nothing since" in said
    assert f"so nobody polls {edge.device}" in said
    assert "edge-2" not in said
    edge.collector_service.start()
    wait_for(lambda: many.is_well("collector_running"), "that it runs again")
    assert edge.gaps(since, last, edge.intervals) == set()
    for other in others:
        assert other.gaps(since, None, other.intervals) == set()


def test_an_influxdb_that_is_killed_costs_no_slot(many: Many) -> None:
    since = now_ms()
    many.wait_for_slots(since)
    many.influxdb.kill()
    wait_for(lambda: all(len(edge.waiting()) > 2 for edge in many.edges), "polls that wait at each site")
    wait_for(lambda: many.is_well("store_answering") is False, "that it is noticed")
    assert "gives no answer" in many.said("store_answering")
    many.influxdb.start()
    wait_for(lambda: not any(edge.waiting() for edge in many.edges), "delivery")
    wait_for(lambda: many.is_well("store_answering"), "that it is well again")
    for edge in many.edges:
        assert edge.gaps(since, None, edge.intervals) == set()


def test_a_redis_that_is_killed_is_named(many: Many) -> None:
    many.redis.kill()
    many.wait_until_named("runs_taken", f"127.0.0.1:{many.redis.port}/0, which hands runs over, does not answer")
    many.redis.start()
    many.wait_until_well("runs_taken")


def test_runs_that_wait_in_a_redis_that_is_killed_are_done(many: Many) -> None:
    before = many.committed()
    backfill = many.pipeline.backfill(DAYS)
    wait_for(lambda: many.pipeline.runs("STARTED"), "a run that has begun")
    many.redis.kill()
    many.redis.start()

    many.wait_for_days(backfill, before)
    assert all(one > other for one, other in zip(many.committed(), before, strict=True))


def test_an_object_store_that_is_killed_in_the_middle_of_a_put_has_the_old_day_and_then_the_new_one(many: Many) -> None:
    day = DAYS[0]
    place = many.head.file("observations", day)
    before = many.objects.read(place)
    commits = many.committed()
    many.to_objects.lets_pass = _half_of_a_table
    backfill = many.pipeline.backfill([day])
    wait_for(many.to_objects.died.is_set, "its end in the middle of a table")
    [run] = wait_for(lambda: many.pipeline.runs("STARTED"), "its run")
    wait_for(lambda: "does not answer" in many.pipeline.said_by_run(run), "that the step says it")
    assert many.objects.read(place) == before
    assert many.committed() == commits
    many.to_objects.start()
    wait_for(lambda: many.backfilled(backfill), "the end of the backfill")
    assert many.committed()[0] > commits[0]
    assert many.objects.read(place) == before  # the same bytes again


def _half_of_a_table(request: bytes) -> int | None:
    """Of a connection over which observations are put, the first half of these."""
    is_table = request.startswith(b"PUT ") and b"/observations/date%3D" in request
    return half_of_a_body(request) if is_table else None


def test_an_object_store_that_is_killed_is_named(many: Many) -> None:
    many.to_objects.kill()
    many.wait_until_named("objects_answering", f"{many.head.environment.data} does not answer")
    many.to_objects.start()
    many.wait_until_well("objects_answering")


_CAPTURED = """
query($id: ID!) { logsForRun(runId: $id) { ...on EventConnection { events { ...on LogsCapturedEvent { fileKey } } } } }
"""
_PRINTED = "query($key: [String!]!) { capturedLogs(logKey: $key) { stderr } }"
