"""A history in a store: own polls before it, days built from it, taken back, replaced, finished when it was killed."""

from dataclasses import replace
from datetime import date, timedelta

import numpy as np
import pytest

from air_pipeline.days.comparing import compare_day
from air_pipeline.days.holdings import DayShrunk, held
from air_pipeline.days.imports import Stage, known_imports
from air_pipeline.days.inputs import Standing
from air_pipeline.deployment import Deployment
from air_pipeline.devices.polls import Outcome, Poll
from air_pipeline.importing import writing
from air_pipeline.importing.planning import COVERED, EMPTY, FUTURE, SHARED, check_start
from air_pipeline.importing.rows import ImportFailed, Notes
from air_pipeline.importing.writing import undo_import, write_import
from air_pipeline.in_force import with_former
from air_pipeline.processing.local_time import from_epoch_ms
from air_pipeline.settings import SettingsError
from air_pipeline.storage.written_over import written_over
from air_pipeline_tests.days.deployments import AFTER, BEFORE, DAY, build, window
from air_pipeline_tests.importing.histories import END, MINUTE, NAME, START, deployed_in, imported, planned, table

ALL = (START - 400 * 86_400_000, END + 400 * 86_400_000)
SERIES = ["dht22_temperature", "sds011_pm25"]


@pytest.fixture
def deployed(tmp_path):
    deployed = deployed_in(tmp_path)
    yield deployed
    deployed.store.close()


def loaded(deployed):
    """The deployment as the next program loads it: it knows the series that an import brought."""
    settings = with_former(replace(deployed.settings, former=()), deployed.environment.state)
    return Deployment(deployed.environment, settings, now=deployed.now)


def own(at, interval_ms=10 * MINUTE, outcome=Outcome.OK):
    values = {"dht22_temperature": 30.0, "dht22_humidity": 40.0} if outcome.has_reading else {}
    return Poll(NAME, at, outcome, 40.0, interval_ms / 1000, http_status=200, values=values)


def shown(deployed):
    return deployed.store.polls(NAME, *ALL)


def test_an_imported_day_is_built_like_any_other_and_is_complete(deployed, tmp_path):
    plan = imported(deployed, table(tmp_path))
    observed, hourly, daily = build(loaded(deployed))
    assert sorted(daily["series"]) == SERIES  # what was never asked is not missed: no humidity
    assert daily["expected_count"].tolist() == [144, 144]
    assert daily["coverage"].tolist() == [1.0, 1.0]
    assert daily["is_complete"].all()
    assert dict(zip(daily["series"], daily["unit"], strict=True)) == {"dht22_temperature": "°C", "sds011_pm25": "µg/m³"}
    assert set(observed["poll_outcome"]) == {"imported"}
    first = hourly[hourly["series"] == "dht22_temperature"]["mean"].tolist()
    assert first == pytest.approx([20 + hour / 10 for hour in range(24)])
    assert held(deployed.data, DAY)[NAME] == (
        START,
        END,
        0,
        0,
        {plan.import_id: (145, 288)},
    )  # with the one that ends it


def test_nothing_is_expected_after_an_imported_stretch_and_before_the_next(deployed, tmp_path):
    far = DAY + timedelta(days=10)
    imported(deployed, table(tmp_path, (DAY, far)))
    of_store = shown(deployed)
    ends = of_store[of_store["outcome"] == "ended"].index.as_unit("ms").asi8.tolist()
    assert ends == [END - 10 * MINUTE + 1, window(far)[1] - 10 * MINUTE + 1]
    settled = loaded(deployed)
    for day in (BEFORE, AFTER, far - timedelta(days=1), far + timedelta(days=1)):
        assert [len(table) for table in build(settled, day)] == [0, 0, 0]
    assert len(build(settled, far)[2]) == 2


def test_polls_of_ours_stay_before_what_is_imported_and_where_they_were_nothing_is(deployed, tmp_path):
    own_slots = [START + n * 10 * MINUTE for n in range(6, 12)]
    deployed.store.write([own(at, outcome=Outcome.TIMEOUT if n == 2 else Outcome.OK) for n, at in enumerate(own_slots)])
    notes = Notes()
    plan = planned(deployed, table(tmp_path, minutes=5), notes=notes)
    assert notes.counts[COVERED] == 12  # those between two of ours too
    assert len(plan.aligned) == 288 - 12
    imported(deployed, tmp_path / "history.csv")
    there = shown(deployed)
    assert there[there["import"].isna()].index.as_unit("ms").asi8.tolist() == own_slots
    assert "timeout" in set(there["outcome"])


def test_in_a_gap_of_ours_what_is_not_imported_stays_missed(deployed, tmp_path):
    """We polled before and after: a stretch of others in between ends nothing."""
    deployed.store.write([own(START - 10 * MINUTE), own(END + 86_400_000)])
    plan = imported(deployed, table(tmp_path))
    assert plan.ends == ()
    assert set(shown(deployed)["outcome"]) == {"ok", "imported"}
    *_, daily = build(loaded(deployed), AFTER)
    assert set(daily["observed_count"]) == {0}
    assert min(daily["expected_count"]) > 0


def test_twice_is_the_same_as_once_and_in_any_order_of_rows_and_files(deployed, tmp_path):
    path = table(tmp_path, (DAY, AFTER))
    first = imported(deployed, path)
    before, header = shown(deployed), path.read_text().splitlines()[0]
    lines = path.read_text().splitlines()[1:]
    parts = [tmp_path / "b.csv", tmp_path / "a.csv"]
    for number, part in enumerate(parts):
        part.write_text("\n".join([header, *reversed(lines[number::2])]))
    again = planned(deployed, *parts)
    assert again.import_id == first.import_id
    assert [day.written for day in write_import(deployed, again)] == [0] * 3
    assert shown(deployed).equals(before)
    assert [one.stage for one in known_imports(deployed.environment.state).values()] == [Stage.DONE]


def test_more_of_a_history_adds_just_the_rest_as_an_import_of_its_own(deployed, tmp_path):
    first = imported(deployed, table(tmp_path))
    notes = Notes()
    second = planned(deployed, table(tmp_path, (DAY, AFTER)), notes=notes)
    assert second.import_id != first.import_id
    assert (notes.counts[COVERED], notes.examples[COVERED]) == (144, [f"import {first.import_id}"])
    imported(deployed, tmp_path / "history.csv")
    by_import = deployed.store.imports(*ALL)[NAME]
    assert {name: one.polls for name, one in by_import.items()} == {first.import_id: 145, second.import_id: 145}
    undo_import(deployed, second.import_id)
    assert shown(deployed)["outcome"].tolist()[-1] == "ended"  # of the first: it is whole


def test_before_start_nothing_is_written_and_the_line_to_set_is_said(tmp_path):
    deployed = deployed_in(tmp_path, start=AFTER)
    plan = planned(deployed, table(tmp_path))
    with pytest.raises(SettingsError, match=rf"nothing was written\. Set there\nstart: {DAY}\n"):
        check_start(deployed, plan)
    assert deployed.store.latest() == {}
    deployed.store.close()


def test_its_days_are_marked_before_something_of_them_is_written(deployed, tmp_path, monkeypatch):
    plan = planned(deployed, table(tmp_path, (DAY, AFTER)))
    seen = []
    real = type(deployed.store).write

    def write(store, polls):
        days = {from_epoch_ms(poll.observed_at).date() for poll in polls}
        seen.append(days <= {mark.day for mark in written_over(store)})
        real(store, polls)

    monkeypatch.setattr(type(deployed.store), "write", write)
    list(write_import(deployed, plan))
    assert seen == [True] * 3


def looked_at(deployed, passed):
    """As the schedule does once it has compared the days that are marked; which they were."""
    marks = deployed.store.late_marks(passed)
    passed.update({mark.collector: mark.at for mark in marks})
    return {mark.day for mark in marks}


def test_its_days_are_marked_again_once_they_are_there_and_once_they_are_gone(deployed, tmp_path):
    """A tick in between has looked at them too soon."""
    plan, passed = planned(deployed, table(tmp_path)), {}
    for _ in write_import(deployed, plan):
        assert looked_at(deployed, passed)
    assert looked_at(deployed, passed) == {BEFORE, DAY}
    undo_import(deployed, plan.import_id)
    assert looked_at(deployed, passed) >= {BEFORE, DAY}


def test_what_was_interrupted_is_finished_by_the_same_import(deployed, tmp_path):
    path = table(tmp_path, (BEFORE, DAY, AFTER))
    writes = write_import(deployed, planned(deployed, path))
    next(writes)
    next(writes)
    writes.close()
    assert [one.stage for one in known_imports(deployed.environment.state).values()] == [Stage.BEGUN]
    rest = [day.written for day in write_import(deployed, planned(deployed, path))]
    assert rest[:2] == [0, 0]
    assert all(rest[2:])
    interrupted = shown(deployed)
    undo_import(deployed, planned(deployed, path).import_id)
    imported(deployed, path)
    assert shown(deployed).equals(interrupted)


def test_an_import_that_is_taken_back_is_gone_and_its_days_are_built_from_the_rest(deployed, tmp_path):
    deployed.store.write([own(START + 10 * MINUTE * n) for n in range(6)])
    plan = imported(deployed, table(tmp_path))
    settled = loaded(deployed)
    build(settled)
    assert compare_day(settled, settled.store, DAY).standing is Standing.CURRENT
    assert undo_import(deployed, plan.import_id) == 138
    assert set(shown(deployed)["outcome"]) == {"ok"}
    assert compare_day(settled, settled.store, DAY).standing is Standing.CHANGED
    *_, daily = build(settled)
    assert set(daily["observed_count"]) == {6}
    assert DAY in {mark.day for mark in written_over(deployed.store)}


def test_what_else_is_lost_of_such_a_day_is_still_noticed(deployed, tmp_path):
    """Of our own polls, and of an import that nobody took back."""
    deployed.store.write([own(START + 10 * MINUTE * n) for n in range(6)])
    plan = imported(deployed, table(tmp_path))
    settled = loaded(deployed)
    build(settled)
    deployed.store.delete_import(NAME, plan.import_id, START + 60 * MINUTE, START + 90 * MINUTE)
    with pytest.raises(DayShrunk, match=rf"138 polls of import {plan.import_id} and the store now holds 135"):
        build(settled)
    undo_import(deployed, plan.import_id)
    deployed.store.delete(NAME, START, START + 15 * MINUTE)
    with pytest.raises(DayShrunk, match="6 polls and the store now holds 4"):
        build(settled)


def test_a_poll_of_ours_that_comes_late_into_an_imported_slot_is_no_loss(deployed, tmp_path):
    imported(deployed, table(tmp_path))
    settled = loaded(deployed)
    build(settled)
    deployed.store.write([own(START + 10 * MINUTE)])
    assert compare_day(settled, settled.store, DAY).standing is Standing.CHANGED
    observed, *_ = build(settled)
    assert (observed["poll_outcome"] == "ok").any()


def test_an_import_in_place_of_another_is_noticed_though_it_counts_alike(deployed, tmp_path):
    plan = imported(deployed, table(tmp_path))
    settled = loaded(deployed)
    build(settled)
    again = planned(deployed, table(tmp_path, value=25.0), ignoring={plan.import_id})
    undo_import(deployed, plan.import_id)
    list(write_import(deployed, again))
    assert compare_day(settled, settled.store, DAY).standing is Standing.CHANGED
    assert build(settled)[2]["mean"].max() > 25


def test_taking_back_what_is_not_there_is_said(deployed):
    with pytest.raises(ImportFailed, match=r"there is no import nope; .*import --list"):
        undo_import(deployed, "nope")


def test_what_stays_out_is_counted(deployed, tmp_path):
    path = table(tmp_path)
    more = ["2027-12-01T00:00:00,1,1", f"{DAY}T00:00:01,,", f"{DAY}T00:00:02,1,2"]
    path.write_text(path.read_text() + "\n".join(more))
    notes = Notes()
    plan = planned(deployed, path, notes=notes)
    assert notes.counts == {FUTURE: 1, EMPTY: 1, SHARED: 1}
    assert len(plan.aligned) == 144
    assert np.isclose(plan.aligned.series["sds011_pm25"][0], 2)


def test_a_row_of_a_wrong_year_does_not_have_the_store_asked_for_every_day_since(deployed, tmp_path, monkeypatch):
    path = table(tmp_path)
    path.write_text(f"{path.read_text()}1970-01-01T01:00:00,1,1\n")
    real, asked = type(deployed.store).summaries, []
    monkeypatch.setattr(type(deployed.store), "summaries", lambda *edges: asked.append(edges) or real(*edges))
    assert len(planned(deployed, path).aligned) == 145
    assert len(asked) <= 4


def test_a_day_of_polls_that_could_not_be_written_is_written_again(deployed, tmp_path, monkeypatch):
    plan = planned(deployed, table(tmp_path))
    real = type(deployed.store).write
    monkeypatch.setattr(writing, "_POLLS_AT_ONCE", 50)
    calls = []

    def write(store, polls):
        calls.append(len(polls))
        if len(calls) == 2:
            raise KeyboardInterrupt
        real(store, polls)

    monkeypatch.setattr(type(deployed.store), "write", write)
    with pytest.raises(KeyboardInterrupt):
        list(write_import(deployed, plan))
    list(write_import(deployed, plan))
    assert len(shown(deployed)) == 145
    assert date(2026, 11, 20) in {day.day for day in write_import(deployed, plan)}
