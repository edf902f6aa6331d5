"""A flag explains itself by the very numbers that it was made of."""

import json
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from air_pipeline.access import Archive
from air_pipeline.cli.explain import explain
from air_pipeline.deployment import Deployment
from air_pipeline.devices.polls import Flag, Outcome, Problem
from air_pipeline.devices.simulator.history import polls_between
from air_pipeline.devices.simulator.weather import Profile
from air_pipeline.settings import Device, SettingsError
from air_pipeline.storage.day_files import DayMetadata
from air_pipeline.times import TimeError
from air_pipeline_tests.days.deployments import HOUR, MINUTE, build, deployment, window
from air_pipeline_tests.processing.rule_names import rule_names

HOME = Device("home", "http://home/", "Europe/Warsaw", interval_ms=MINUTE)
START = window()[0]
STEP, BROKEN, LATE = START + 30 * MINUTE, START + 40 * MINUTE, START + 55 * MINUTE


def history():
    for poll in polls_between(HOME, Profile("home", 3), START, START + 2 * HOUR):
        values = dict(poll.values)
        if STEP <= poll.observed_at < BROKEN:
            values["dht22_temperature"] += 40.0
        if poll.observed_at >= LATE:
            values["dht22_humidity"] = 47.3
        if poll.observed_at == BROKEN:
            del values["dht22_humidity"]
            problem = Problem("dht22_humidity", "inf", Flag.BAD, "not finite")
            yield replace(poll, outcome=Outcome.PARTIAL, problems=(problem,), values=values)
        else:
            yield replace(poll, values=values)


@pytest.fixture(scope="module")
def deployed(tmp_path_factory):
    deployed = deployment(tmp_path_factory.mktemp("explain"), HOME)
    deployed.store.write(list(history()))
    build(deployed)
    yield deployed
    deployed.store.close()


def at(slot):
    return datetime.fromtimestamp(slot / 1000, UTC)


def with_device(deployed, device):
    return Deployment(deployed.environment, replace(deployed.settings, devices=(device,)), now=deployed.now)


def said(judged):
    return {one.rule: (one.verdict, one.amount, one.sentence) for one in judged.said}


def test_each_rule_says_what_it_measured_in_a_sentence(deployed):
    found = Archive(deployed).explain("home", "dht22_temperature", at(STEP))
    assert (found.unit, found.judged.flag, found.poll.outcome, found.built) == ("°C", Flag.SUSPECT, "ok", True)
    assert found.observed_at.isoformat() == "2026-11-21T00:30:00+01:00"
    rules = said(found.judged)
    verdict, amount, sentence = rules["rate"]
    assert (verdict, round(amount, 1)) == ("suspect", 0.7)
    assert sentence == f"{amount:.3g} °C/s since the last value; at most 0.5 is believable"
    assert rules["thermometers_apart"][0] == "suspect"
    assert rules["sensor_range"][0] == "fine"
    assert rules["sensor_range"][2].endswith(", of -40 … 80")
    assert rules["spike"][:2] == ("fine", 0.0)
    assert "flat_line" not in rules


@pytest.mark.parametrize("series", ["dht22_humidity", "dht22_temperature", "temperature", "mq135_co2"])
def test_what_is_said_is_what_the_file_says(deployed, series):
    archive = Archive(deployed)
    rows = archive.observations(at(START + 20 * MINUTE), at(START + 3 * HOUR), "home", series)
    for row in rows.iloc[::9].itertuples():
        judged = archive.explain("home", series, row.observed_at.to_pydatetime()).judged
        assert judged.flag == row.flag
        spoke = {one.rule for one in judged.said if one.verdict in {"suspect", "bad"}}
        if series != "temperature":
            assert spoke == set(rule_names(row.rules))


def test_what_came_instead_of_a_value_is_told(deployed):
    found = Archive(deployed).explain("home", "dht22_humidity", at(BROKEN))
    assert (found.judged.value, found.judged.flag) == (None, Flag.BAD)
    assert (found.poll.came, found.poll.reason) == ("inf", "not finite")
    assert said(found.judged)["unusable_value"][0] == "bad"


def test_a_mean_names_its_members(deployed):
    found = Archive(deployed).explain("home", "temperature", at(STEP))
    assert found.judged.members == {
        "bmp180_temperature": Flag.GOOD,
        "dht22_temperature": Flag.SUSPECT,
        "ds18b20_temperature": Flag.GOOD,
    }


def test_a_time_between_two_slots_means_the_one_before(deployed):
    found = Archive(deployed).explain("home", "mq135_co2", at(STEP + 59_000))
    assert found.observed_at == at(STEP)


def test_where_limits_have_changed_since_both_are_said(deployed):
    lenient = replace(HOME, rules={"dht22_temperature": {"max_rate": 1.0, "max_apart": None}})
    found = Archive(with_device(deployed, lenient)).explain("home", "dht22_temperature", at(STEP))
    assert (found.judged.flag, said(found.judged)["rate"][0]) == (Flag.SUSPECT, "suspect")
    assert (found.judged_now.flag, said(found.judged_now)["rate"][0]) == (Flag.GOOD, "fine")
    assert "thermometers_apart" not in said(found.judged_now)
    assert Archive(deployed).explain("home", "dht22_temperature", at(STEP)).judged_now is None


def test_a_day_of_other_rules_says_so(deployed, monkeypatch):
    assert not Archive(deployed).explain("home", "mq135_co2", at(STEP)).of_other_rules
    metadata = DayMetadata.from_texts
    monkeypatch.setattr(
        DayMetadata, "from_texts", classmethod(lambda _, texts: replace(metadata(texts), rule_set_version="0"))
    )
    found = Archive(deployed).explain("home", "mq135_co2", at(STEP))
    assert found.of_other_rules
    assert found.rule_set == "0"


def test_a_day_that_is_not_built_is_explained_as_it_would_be(deployed, tmp_path):
    other = deployment(tmp_path, HOME)
    other.store.write(list(history()))
    live, built = (Archive(one).explain("home", "dht22_temperature", at(STEP)) for one in (other, deployed))
    assert not live.built
    assert live.judged == built.judged
    other.store.close()


def test_what_is_not_there_is_an_error_that_helps(deployed):
    archive = Archive(deployed)
    with pytest.raises(SettingsError, match="did you mean home"):
        archive.explain("hom", "temperature", at(STEP))
    with pytest.raises(SettingsError, match="did you mean dht22_temperature"):
        archive.explain("home", "dht22_temprature", at(STEP))
    with pytest.raises(TimeError, match="home was not expected on 2026-11-20"):
        archive.explain("home", "temperature", at(START - HOUR))


def test_the_command_says_it_in_lines_and_as_json(deployed, monkeypatch, capsys):
    monkeypatch.setattr("air_pipeline.cli.explain.open_deployment", lambda **_: deployed)
    explain("home", "dht22_temperature", "2026-11-21T00:30")
    head, poll, *rules = capsys.readouterr().out.splitlines()
    assert head.startswith("home dht22_temperature at 2026-11-21 00:30:00+01:00: ")
    assert head.endswith(" °C, 3 (suspect)")
    assert poll.startswith("poll: ok, after ")
    assert any(line.startswith("  rate · suspect: ") for line in rules)
    explain("home", "dht22_temperature", "2026-11-21T00:30", as_json=True)
    found = json.loads(capsys.readouterr().out)
    assert (found["judged"]["flag"], found["observed_at"]) == (3, "2026-11-21T00:30:00+01:00")
