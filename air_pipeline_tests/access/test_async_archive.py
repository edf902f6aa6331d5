"""The questions as coroutines: answered in threads, as the `Archive` answers them, while the loop goes on."""

import asyncio
import inspect
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd
import pytest

from air_pipeline.access import Archive, AsyncArchive, open_async_archive
from air_pipeline.deployment import Deployment
from air_pipeline.settings import SettingsError
from air_pipeline.storage.store import StoreError
from air_pipeline_tests.days.deployments import AFTER, BEFORE, DAY, build, deployment, device, seed
from air_pipeline_tests.influxdb_server import InfluxServer
from air_pipeline_tests.waiting import WITHIN_S

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
DEVICES = tuple(device(name) for name in ("attic", "cellar", "garage", "hall"))
QUESTIONS = {
    name
    for name, member in inspect.getmembers(Archive, inspect.isfunction)
    if not name.startswith("_") and name not in {"close", "interval", "units"}
}


def filled(deployed: Deployment) -> Iterator[Deployment]:
    seed(deployed, [BEFORE, DAY])
    build(deployed, BEFORE)
    yield deployed
    deployed.store.close()


@pytest.fixture
def embedded(tmp_path: Path) -> Iterator[Deployment]:
    yield from filled(deployment(tmp_path, *DEVICES, now=NOW))


@pytest.fixture
def influx(tmp_path: Path, influxdb: InfluxServer) -> Iterator[Deployment]:
    deployed = deployment(tmp_path, *DEVICES, now=NOW)
    environment = replace(deployed.environment, influxdb=influxdb.connection())
    yield from filled(Deployment(environment, deployed.settings, now=deployed.now))


@pytest.fixture(params=["embedded", pytest.param("influx", marks=pytest.mark.influxdb)])
def deployed(request: pytest.FixtureRequest) -> Deployment:
    """Four devices in each of the stores, one of their two days built."""
    return request.getfixturevalue(request.param)


def twenty() -> list[tuple[str, tuple[object, ...]]]:
    names = [one.id for one in DEVICES]
    asked: list[tuple[str, tuple[object, ...]]] = [("latest", (name,)) for name in names]
    for question in ("history", "observations", "hourly", "daily"):
        asked += [(question, (BEFORE, AFTER, name)) for name in names]
    return asked


def test_many_questions_at_once_are_answered_as_one_after_the_other(deployed: Deployment) -> None:
    archive = Archive(deployed)
    asked = twenty()
    one_by_one = [getattr(archive, name)(*arguments) for name, arguments in asked]
    assert len(one_by_one) == 20
    assert all(len(frame) for frame in one_by_one)

    async def all_at_once() -> list[pd.DataFrame]:
        async with AsyncArchive(archive) as air:
            return await asyncio.gather(*(getattr(air, name)(*arguments) for name, arguments in asked))

    for alone, together in zip(one_by_one, asyncio.run(all_at_once()), strict=True):
        pd.testing.assert_frame_equal(alone, together)


def test_the_loop_goes_on_while_questions_are_answered(deployed: Deployment, monkeypatch: pytest.MonkeyPatch) -> None:
    """No read of the store ends before the loop's heart has beaten ten times since it began to be asked."""
    beaten = threading.Event()
    read = deployed.store.polls

    def held(*arguments: object) -> pd.DataFrame:
        assert beaten.wait(WITHIN_S), "the loop stands still while a question is answered"
        return read(*arguments)

    monkeypatch.setattr(deployed.store, "polls", held)

    async def heart() -> None:
        for _ in range(10):
            await asyncio.sleep(0)
        beaten.set()

    async def all_at_once() -> list[pd.DataFrame]:
        async with AsyncArchive(Archive(deployed)) as air:
            questions = [air.observations(DAY, AFTER, one.id) for one in DEVICES for _ in range(5)]
            *answers, _ = await asyncio.gather(*questions, heart())
            return answers

    assert [len(answer) for answer in asyncio.run(all_at_once())] == [144] * 20


def test_every_question_can_be_asked_either_way() -> None:
    coroutines = {name for name, _ in inspect.getmembers(AsyncArchive, inspect.iscoroutinefunction)}
    assert {name for name in coroutines if not name.startswith("_")} == {*QUESTIONS, "close"}
    for name in QUESTIONS:
        assert inspect.signature(getattr(AsyncArchive, name)) == inspect.signature(getattr(Archive, name))
        assert getattr(AsyncArchive, name).__doc__ == getattr(Archive, name).__doc__


def test_errors_come_to_who_asked(embedded: Deployment) -> None:
    async def ask() -> None:
        async with AsyncArchive(Archive(embedded)) as air:
            with pytest.raises(SettingsError, match="did you mean attic"):
                await air.history("-1d", devices="attc")
            with pytest.raises(StoreError, match="speaks no Flux"):
                await air.flux("buckets()")

    asyncio.run(ask())


def test_flux_is_answered_in_the_zone_of_the_deployment(influx: Deployment) -> None:
    assert influx.environment.influxdb is not None
    query = (
        f'from(bucket: "{influx.environment.influxdb.bucket}")'
        " |> range(start: 2026-11-20T00:00:00Z, stop: 2026-11-21T00:00:00Z)"
        ' |> filter(fn: (r) => r._measurement == "air" and r.device == "hall")'
    )

    async def ask() -> pd.DataFrame:
        async with AsyncArchive(Archive(influx)) as air:
            return await air.flux(query)

    found = asyncio.run(ask())
    assert str(found["_time"].dt.tz) == "Europe/Warsaw"
    history = Archive(influx).history("2026-11-20T00:00Z", "2026-11-21T00:00Z", "hall")
    assert found["_value"].tolist() == history["first_temperature"].tolist()
    assert (found["_time"].to_numpy() == history.index.to_numpy()).all()


def test_after_closing_no_thread_is_left_and_nothing_can_be_asked(embedded: Deployment) -> None:
    async def ask() -> None:
        async with AsyncArchive(Archive(embedded)) as air:
            await air.latest()
            assert any(thread.name.startswith("archive") for thread in threading.enumerate())
        assert not any(thread.name.startswith("archive") for thread in threading.enumerate())
        with pytest.raises(RuntimeError, match="after shutdown"):
            await air.latest()

    asyncio.run(ask())


def test_an_asynchronous_archive_is_opened_by_a_file(tmp_path: Path) -> None:
    text = "timezone: Europe/Warsaw\nstart: 2026-11-01\ndevices:\n  - id: hall\n    url: http://10.0.0.1/\n"
    (tmp_path / "mine.yaml").write_text(text, encoding="utf-8")
    assert open_async_archive(tmp_path / "mine.yaml").archive.devices == ["hall"]
