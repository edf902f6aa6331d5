"""What is on the page of a day, made from real tables and a real store."""

import json
import shlex
from dataclasses import replace
from datetime import date

import pytest

from air_pipeline.access import Archive
from air_pipeline.catalogue import STATION
from air_pipeline.devices.polls import Flag, Outcome, Problem
from air_pipeline.devices.simulator import Profile
from air_pipeline.devices.simulator.history import polls_between
from air_pipeline.processing.rules import RULE_BITS
from air_pipeline.reports.contents import ObservationCounts, ReportError
from air_pipeline.reports.gathering import gather
from air_pipeline.reports.page import milliseconds, number, page_of, percent, picture_of
from air_pipeline.settings import Mark
from air_pipeline.storage.day_files import DayNotBuilt, day_file
from air_pipeline_tests.days.deployments import (
    BEFORE,
    DAY,
    HOUR,
    MINUTE,
    build,
    deployment,
    device,
    poll,
    polls,
    seed,
    window,
)
from air_pipeline_tests.reports.pages import Page, page_of_day

START, END = window()
HOSTILE = """"><script>alert(1)</script><img src=http://192.0.2.1/x onerror='alert(2)'> & {{ 7 * 7 }}"""


def test_the_fleet_and_each_device_are_told(tmp_path):
    deployed = deployment(tmp_path, device("attic", since=date(2026, 1, 1)), device("hall"))
    deployed.store.write(polls(START, START + 18 * HOUR))
    deployed.store.write([poll(START + 18 * HOUR, outcome=Outcome.TIMEOUT, duration_ms=5000)])
    page = page_of_day(deployed, DAY)
    glance = page.text("fleet")
    assert "Devices 2 1 complete" in glance
    assert "108 of 288 observations valid" in glance
    assert "Polls 109 108 ok, 1 timeout" in glance
    assert "108 valid 0 suspect 0 bad 180 missing" in glance
    assert page.shown == ["attic", "hall"]  # the least complete first
    hall = page.text("device-hall")
    assert "Coverage 75.0\u202f%, 1 of 1 series complete." in hall
    assert "timeout no whole answer in time 1 5\u2009000 5\u2009000 5\u2009000" in hall
    assert "Nothing: no rule spoke against an observation." in hall


def test_a_device_without_a_single_observation_reads_well(tmp_path):
    deployed = deployment(tmp_path, device("attic", since=date(2026, 1, 1)))
    attic = page_of_day(deployed, DAY).text("device-attic")
    for said in ("Not a single observation.", "There is nothing to draw.", "It was not polled on this day."):
        assert said in attic
    assert "nan" not in attic.lower()
    assert "None" not in attic


def test_a_day_without_anything_expected_says_so(tmp_path):
    deployed = deployment(tmp_path, device(since=date(2027, 1, 1)))
    page = page_of_day(deployed, DAY)
    assert page.text("fleet") == "The day at a glance Nothing was expected of any device on this day."
    assert page.shown == []


def test_statistics_are_the_row_of_the_table_in_the_precision_of_the_sensor(tmp_path):
    deployed = deployment(tmp_path)
    seed(deployed)
    *_, daily = build(deployed)
    row = daily.iloc[0]
    first, last = ("mean", "min", "max", "median", "p02", "p98"), ("mean_06_22", "mean_22_06", "max_8h_mean")
    numbers = [*(f"{row[name]:.1f}" for name in first), f"{row['sd']:.2f}", *(f"{row[name]:.1f}" for name in last)]
    hall = Page(page_of(gather(deployed, DAY))).text("device-hall")
    assert f"first_temperature °C °C {' '.join(numbers)} 100\u202f%" in hall


def test_what_the_rules_said_is_told_in_words_with_its_time(tmp_path):
    deployed = deployment(tmp_path, device(expected_range={"first_temperature": (0, 26.5)}))
    readings = polls(START, END)
    for place, value in ((6, 27.0), (12, 28.0), (18, 300.0)):
        readings[place] = replace(readings[place], values={"first_temperature": value})
    deployed.store.write(readings)
    page = page_of_day(deployed, DAY)
    hall = page.text("device-hall")
    assert (
        "expected_range: The value is outside of the configured expected_range: suspect. 3 observations of"
        " first_temperature, from 01:00:00 to 03:00:00." in hall
    )
    assert "1 observation of first_temperature, at 03:00:00." in hall
    assert "2 suspect; 1 bad; marks at the edge are values beyond it: 300.0 °C" in hall
    assert "first_temperature: 20.0 to 26.0 °C" in page.all("svg")[-1]["aria-label"]
    assert page.strokes("suspect") == 2


FRIDGE = Mark("hall", "first_temperature", START + 8 * HOUR, START + 10 * HOUR, "bad", "in the fridge", "anna", "today")


def marked(deployed, *marks):
    return replace(deployed, settings=replace(deployed.settings, marks=marks))


def test_what_was_marked_by_hand_is_a_band_over_the_curve_with_what_was_said(tmp_path):
    deployed = deployment(tmp_path, device("hall"), device("lab"))
    seed(deployed)
    page = page_of_day(marked(deployed, FRIDGE), DAY)
    [(_, band)] = [one for one in page.drawn if one[1].get("class") == "marked"]
    assert band["d"].count("M") == 1
    hall = page.text("device-hall")
    assert hall.count("bad: in the fridge") == 1
    assert "12 bad; marked bad from 08:00:00 to 10:00:00: in the fridge (anna); why?" in hall
    assert "marked: Somebody marked the time by hand" in hall
    assert "marked by hand" in hall
    assert "marked" not in page.text("device-lab")
    assert "marked" not in page_of_day(deployed, DAY).text("device-hall")


def test_a_mark_is_drawn_as_far_as_it_is_of_the_day(tmp_path):
    deployed = deployment(tmp_path)
    seed(deployed)
    around = replace(FRIDGE, start=START - HOUR, end=END + HOUR, verdict="suspect")
    hall = page_of_day(marked(deployed, around, replace(FRIDGE, start=END)), DAY).text("device-hall")
    assert "marked suspect from 00:00:00 to 24:00: in the fridge" in hall
    assert "marked bad" not in hall


def test_why_leads_to_the_command_that_explains_the_first_value_of_each_rule(tmp_path):
    deployed = marked(deployment(tmp_path, device(expected_range={"first_temperature": (0, 25.5)})), FRIDGE)
    seed(deployed)
    page = page_of_day(deployed, DAY)
    assert page.links("why?") == ["#why-hall.first_temperature"]
    rows = day_file(deployed.data, "observations", DAY).read()
    commands = [shlex.split(text) for text in page.code if text.startswith("air-pipeline")]
    spoke = {}
    for command in commands:
        assert command[:6] == ["air-pipeline", "explain", "--device", "hall", "--series", "first_temperature"]
        found = Archive(deployed).explain("hall", "first_temperature", command[-1])
        for one in found.judged.said:
            if one.verdict in {"bad", "suspect"}:
                spoke.setdefault(one.rule, found.observed_at)
    for rule, at in spoke.items():
        assert at == rows["observed_at"][rows["rules"] & RULE_BITS[rule] != 0].min()
    assert set(spoke) == {"expected_range", "marked"}
    assert len(commands) == 2
    flags = rows["flag"].value_counts()
    assert f"first_temperature: {flags[3]} suspect, {flags[4]} bad" in page.text("device-hall")


def test_a_series_of_which_no_rule_spoke_has_no_why(tmp_path):
    deployed = deployment(tmp_path)
    seed(deployed)
    page = page_of_day(deployed, DAY)
    assert page.links("why?") == []
    assert "air-pipeline explain" not in page.text()


def test_hours_that_are_not_complete_are_shown_with_their_coverage(tmp_path):
    deployed = deployment(tmp_path)
    deployed.store.write(polls(START, START + 2 * HOUR))
    deployed.store.write(polls(START + 2 * HOUR + 30 * MINUTE, START + 3 * HOUR))
    page = page_of_day(deployed, DAY)
    classes = [attributes.get("class") for attributes in page.all("td") if attributes.get("class", "").startswith("c")]
    assert classes == ["c4", "c4", "c1", *["c0"] * 21]
    assert " 50 " in page.text("device-hall")


@pytest.mark.parametrize(
    ("day", "zone", "notice", "labels"),
    [
        ("2026-10-25", "Europe/Warsaw", "25-hour day: the clock was put back at 03:00 to 02:00.", "00 01 02 02 03"),
        ("2026-03-29", "Europe/Warsaw", "23-hour day: the clock was put forward at 02:00 to 03:00.", "00 01 03 04"),
        (
            "2026-04-05",
            "Australia/Lord_Howe",
            "24.5-hour day: the clock was put back at 02:00 to 01:30.",
            "00 01 :30 02",
        ),
        ("2026-03-08", "America/New_York", "23-hour day: the clock was put forward at 02:00 to 03:00.", "00 01 03 04"),
    ],
)
def test_a_day_on_which_the_clock_changes_is_drawn_as_long_as_it_is(tmp_path, day, zone, notice, labels):
    day = date.fromisoformat(day)
    deployed = deployment(tmp_path, device(timezone=zone), timezone=zone)
    seed(deployed, (day,))
    page = page_of_day(deployed, day)
    assert notice in page.text("")
    _, hours = page.text("device-hall").split("Coverage by hour")
    assert f" {labels} " in hours
    assert page.strokes("change") == 1


def test_a_device_of_another_zone_has_its_own_day(tmp_path):
    deployed = deployment(tmp_path, device("hall"), device("lab", "Asia/Tokyo"))
    seed(deployed)
    page = page_of_day(deployed, DAY)
    assert "Its own local day, Asia/Tokyo." in page.text("device-lab")
    assert "Its own local day" not in page.text("device-hall")
    assert "288 ok" in page.text("fleet")  # the polls of both days


@pytest.mark.slow
def test_of_a_large_fleet_the_twenty_worst_are_shown_and_the_page_says_so(tmp_path):
    deployed = deployment(tmp_path, *(device(f"d{place:02}", interval_ms=HOUR) for place in range(60)))
    for place in range(60):
        deployed.store.write(polls(START, END, f"d{place:02}", HOUR)[: 24 - place % 24 // 8 * 8])
    page = page_of_day(deployed, DAY)
    report = gather(deployed, DAY)
    coverage = {summary.device: summary.counts.coverage for summary in report.summaries}
    assert len(coverage) == 60
    assert page.shown == sorted(coverage, key=lambda name: (coverage[name], name))[:20]
    assert "The 20 devices that are least complete are shown on this page, the worst first" in page.text("fleet")
    assert "60 devices fared" in page.text("fleet")


def hostile_page(tmp_path):
    """The page of a day on which a device sent markup wherever it could."""
    deployed = deployment(tmp_path)
    problem = Problem("first_temperature", HOSTILE, Flag.BAD, f"{HOSTILE} \u202e27.9\x1b")
    deployed.store.write(polls(START, END))
    bad = poll(START, outcome=Outcome.PARTIAL)
    deployed.store.write([replace(bad, observed_at=START + MINUTE, values={}, problems=(problem,))])
    rejected = poll(START + 2 * MINUTE, outcome=Outcome.REJECTED)
    deployed.store.write([replace(rejected, body=HOSTILE)])
    build(deployed)
    return page_of(gather(deployed, DAY))


def test_what_somebody_says_by_hand_is_text_on_the_page_and_nothing_else(tmp_path):
    deployed = marked(deployment(tmp_path), replace(FRIDGE, why=f"{HOSTILE} \u202e27.9\x1b", by=HOSTILE))
    seed(deployed)
    build(deployed)
    html = page_of(gather(deployed, DAY))
    page = Page(html)
    assert f"{HOSTILE} \\u202e27.9\\x1b ({HOSTILE})" in page.text("device-hall")
    assert f"bad: {HOSTILE}"[:39] in page.text("device-hall")
    assert not {"\u202e", "\x1b"} & set(html)
    assert not page.all("script")
    assert not page.all("img")


def test_what_a_device_sends_is_text_on_the_page_and_nothing_else(tmp_path):
    html = hostile_page(tmp_path)
    page = Page(html)
    assert f"{HOSTILE} \\u202e27.9\\x1b" in page.text("device-hall")
    assert not {"\u202e", "\x1b"} & set(html)
    assert not page.all("script")
    assert not page.all("img")
    assert not [name for _, attributes in page.elements for name in attributes if name.startswith("on")]


def test_the_page_asks_for_nothing_but_itself(tmp_path):
    html = hostile_page(tmp_path)
    page = Page(html)
    [policy] = [meta["content"] for meta in page.all("meta") if meta.get("http-equiv") == "Content-Security-Policy"]
    assert policy.startswith("default-src 'none'; style-src 'unsafe-inline'")
    links = [
        value for _, attributes in page.elements for name, value in attributes.items() if name.endswith(("href", "src"))
    ]
    assert links
    assert all(link.startswith("#") for link in links)
    assert "url(" not in html.replace("url(#", "")
    assert "@import" not in html


def test_ids_are_unique_and_every_link_leads_somewhere(tmp_path):
    suspect = {"dht22_temperature": (90.0, 99.0), "dht22_humidity": (190.0, 199.0)}
    lab = replace(device("lab", interval_ms=HOUR), parameters=STATION, expected_range=suspect)
    deployed = deployment(tmp_path, device("hall"), lab)
    seed(deployed)
    deployed.store.write(list(polls_between(lab, Profile("lab", 1), START, END)))
    page = page_of_day(deployed, DAY)
    assert page.strokes("suspect") == 2 * 24
    ids = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    links = {
        value[1:] for _, attributes in page.elements for name, value in attributes.items() if name.endswith("href")
    }
    assert links <= set(ids)


def test_the_same_inputs_give_the_same_page_in_whatever_order_days_are_built(tmp_path):
    pages = []
    for order in ((BEFORE, DAY), (DAY, BEFORE)):
        deployed = marked(deployment(tmp_path / str(order[0]), device("hall"), device("lab", "Asia/Tokyo")), FRIDGE)
        seed(deployed, (BEFORE, DAY))
        made = {}
        for day in order:
            build(deployed, day)
            report = gather(deployed, day)
            made[day] = (page_of(report).encode(), picture_of(report))
        pages.append(made)
    assert pages[0] == pages[1]
    assert pages[0][BEFORE] != pages[0][DAY]


def test_the_head_says_how_the_tables_were_made(tmp_path):
    deployed = deployment(tmp_path)
    seed(deployed)
    page = page_of_day(deployed, DAY)
    said = {meta["name"]: meta["content"] for meta in page.all("meta") if "name" in meta}
    assert day_file(deployed.data, "daily_aggregates", DAY).metadata().making().items() <= said.items()
    assert json.loads(said["air_pipeline.input_fingerprint"])["polls"] == 144


def test_a_device_that_the_settings_no_longer_have_is_still_shown(tmp_path):
    deployed = deployment(tmp_path, device("hall"), device("lab"))
    seed(deployed)
    build(deployed)
    left = replace(deployed, settings=replace(deployed.settings, devices=deployed.settings.devices[:1]))
    assert Page(page_of(gather(left, DAY))).shown == ["hall", "lab"]


def test_the_first_slot_is_told_where_it_is_not_the_first_of_the_day(tmp_path):
    deployed = deployment(tmp_path)
    deployed.store.write(polls(START + 9 * HOUR, END))
    assert "Expected from 09:00:00 on." in page_of_day(deployed, DAY).text("device-hall")


def test_a_slot_beside_the_grid_is_not_taken_for_the_interval(tmp_path):
    deployed = deployment(tmp_path)
    deployed.store.write([*polls(START + 15 * MINUTE, END), poll(START + 65 * MINUTE)])
    assert "Expected from" not in page_of_day(deployed, DAY).text("device-hall")


def test_a_day_that_is_not_built_has_no_page(tmp_path):
    with pytest.raises(DayNotBuilt, match=f"air-pipeline build --from {DAY} --to {DAY}"):
        gather(deployment(tmp_path), DAY)


def test_what_cannot_be_drawn_is_said_in_a_sentence(tmp_path, monkeypatch):
    deployed = deployment(tmp_path)
    seed(deployed)
    build(deployed)
    report = gather(deployed, DAY)
    broken = replace(report, devices=(replace(report.devices[0], clock=None),))
    with pytest.raises(ReportError, match=f"the page of {DAY} cannot be drawn"):
        page_of(broken)


@pytest.mark.parametrize(
    ("value", "decimals", "text"),
    [
        (21.349, 1, "21.3"),
        (-3.0, 1, "−3.0"),
        (1013.25, 2, "1\u2009013.25"),
        (None, 1, "–"),
        (0.000123456, None, "0.0001235"),
    ],
)
def test_numbers_have_the_precision_of_the_sensor(value, decimals, text):
    assert number(value, decimals) == text


def test_shares_are_all_or_nothing_only_when_they_are():
    assert [percent(share) for share in (0, 0.00001, 0.5, 0.99999, 1, None)] == [
        "0\u202f%", "0.1\u202f%", "50.0\u202f%", "99.9\u202f%", "100\u202f%", "–"
    ]  # fmt: skip


def test_durations_are_whole_milliseconds():
    assert [milliseconds(value) for value in (5000.4, None)] == ["5\u2009000", "–"]


def test_counts_add_up(tmp_path):
    deployed = deployment(tmp_path, device("attic", since=date(2026, 1, 1)), device("hall"))
    deployed.store.write(polls(START, START + 18 * HOUR))
    build(deployed)
    report = gather(deployed, DAY)
    assert {one.device: one.counts for one in report.summaries} == {
        "attic": ObservationCounts(144, 0, 0, 0, 144),
        "hall": ObservationCounts(144, 108, 0, 0, 36),
    }
    assert report.counts == ObservationCounts(288, 108, 0, 0, 180)
    assert report.counts.coverage == 0.375
    assert ObservationCounts.of([]).coverage is None
