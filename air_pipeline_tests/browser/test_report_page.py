"""The page of a day in a real browser: on a phone, on a desk, on paper, in light and dark."""

from dataclasses import replace
from datetime import date

import pytest
from axe_playwright_python.sync_playwright import Axe

from air_pipeline.catalogue import STATION
from air_pipeline.devices.polls import Flag, Outcome, Problem
from air_pipeline.devices.simulator import Profile
from air_pipeline.devices.simulator.history import polls_between
from air_pipeline.reports.gathering import gather
from air_pipeline.reports.page import page_of
from air_pipeline.settings import Mark
from air_pipeline.storage.pages import page_file
from air_pipeline_tests.days.deployments import HOUR, MINUTE, build, deployment, device, window

pytestmark = [pytest.mark.browser, pytest.mark.slow]

DAY = date(2026, 10, 25)  # of 25 hours in Warsaw
SIZES = {"phone": {"width": 360, "height": 740}, "desk": {"width": 1280, "height": 900}}


@pytest.fixture(scope="session")
def file(tmp_path_factory):
    """The page of a day with everything on it: a good device, one with every kind of trouble, one that was silent."""
    good = replace(device("living-room", interval_ms=MINUTE), parameters=STATION, thresholds={"mq135_co2": 401.0})
    troubled = replace(good, id="g" * 63, expected_range={"dht22_temperature": (21.0, 22.0)})
    silent = replace(device("attic", "Asia/Tokyo", since=date(2026, 1, 1)), parameters=STATION)
    deployed = deployment(tmp_path_factory.mktemp("page"), good, troubled, silent)
    start, end = window(DAY, troubled)
    said = ("in the fridge", "MM WWW MMMM WWWWW MMM WWWWWWWW MMMMMM", "so", "<b>as it should be</b>" * 9)
    marks = [
        Mark(name, "*", start + hour * HOUR, start + (hour + 2) * HOUR, verdict, why, "anna")
        for name in (good.id, troubled.id)
        for hour, verdict, why in zip((0, 3, 12, 20), ("bad", "suspect", "bad", "good"), said, strict=True)
    ]
    deployed = replace(deployed, settings=replace(deployed.settings, marks=tuple(marks)))
    for one, begin, until in (
        (good, start, end),
        (troubled, start, start + 12 * HOUR),
        (troubled, start + 13 * HOUR, end),
    ):
        deployed.store.write(list(polls_between(one, Profile(one.id, 1), begin, until)))
    problems = tuple(Problem(p.series, "<b>inf</b>" * 9, Flag.BAD, "not finite") for p in STATION)
    for hours, changes in (
        (4, {"outcome": Outcome.TIMEOUT, "values": {}, "duration_ms": 5000.0}),
        (6, {"outcome": Outcome.PARTIAL, "values": {}, "problems": problems}),
        (8, {"outcome": Outcome.REJECTED, "values": {}, "body": "<!DOCTYPE html>" + "x" * 500}),
        (10, {"values": {"bmp180_pressure": -306.27}}),
    ):
        stretch = polls_between(troubled, Profile(troubled.id, 1), start + hours * HOUR, start + (hours + 1) * HOUR)
        deployed.store.write([replace(poll, **changes) for poll in stretch])
    build(deployed, DAY)
    page = page_file(deployed.data, DAY)
    page.publish(page_of(gather(deployed, DAY)))
    return page.path


@pytest.fixture(params=[(size, scheme) for size in SIZES for scheme in ("light", "dark")], ids="-".join)
def page(request, browser, file):
    """The page, open, with everything that the browser complained of or asked for."""
    size, scheme = request.param
    opened = browser.new_page(viewport=SIZES[size], color_scheme=scheme)
    opened.complaints, opened.requests = [], []
    opened.on("console", lambda message: opened.complaints.append(message.text))
    opened.on("pageerror", lambda error: opened.complaints.append(str(error)))
    opened.on("request", lambda request: opened.requests.append(request.url))
    opened.goto(file.as_uri())
    yield opened
    opened.close()


def test_it_needs_nothing_but_itself_and_the_browser_has_no_complaint(page, file):
    page.wait_for_load_state("networkidle")
    assert page.requests == [file.as_uri()]
    assert page.complaints == []


def test_nothing_is_wider_than_the_screen(page):
    wide = page.evaluate(
        """() => [...document.querySelectorAll('body *')]
            .filter(one => !one.closest('svg') && !one.matches('.read'))
            .filter(one => one.getBoundingClientRect().right > innerWidth + 0.5)
            .map(one => one.outerHTML.slice(0, 100))"""
    )
    assert wide == []
    assert page.evaluate("document.documentElement.scrollWidth") <= page.viewport_size["width"]


def test_everybody_can_read_it(page):
    violations = Axe().run(page).response["violations"]
    assert [(one["id"], one["impact"], one["nodes"][0]["html"]) for one in violations] == []


def test_pictures_follow_light_and_dark(page):
    colours = page.evaluate(
        """() => [['body', 'backgroundColor'], ['figure svg text', 'fill'], ['figure svg .line', 'stroke']]
            .map(([where, what]) => getComputedStyle(document.querySelector(where))[what])"""
    )
    light = page.evaluate("matchMedia('(prefers-color-scheme: light)').matches")
    assert colours == (
        ["rgb(255, 255, 255)", "rgb(74, 84, 94)", "rgb(0, 114, 178)"]
        if light
        else ["rgb(20, 24, 28)", "rgb(179, 189, 199)", "rgb(86, 180, 233)"]
    )


def test_every_line_and_mark_is_seen(page):
    colours = page.evaluate(
        """() => [...document.querySelectorAll('figure svg path')]
            .map(one => [one.getAttribute('class'), getComputedStyle(one).stroke])"""
    )
    kinds = {kind: {stroke for other, stroke in colours if other == kind} for kind, _ in colours}
    assert kinds.keys() == {"grid", "axis", "change", "gaps", "line", "suspect", "bad", "marked"}
    assert all(len(strokes) == 1 and "none" not in strokes for strokes in kinds.values())


def test_no_label_touches_another(page):
    touching = page.evaluate(
        """() => [...document.querySelectorAll('figure svg')].flatMap(picture => {
            const texts = [...picture.querySelectorAll('text')].map(one => [one.textContent, one.getBBox()]);
            return texts.flatMap(([text, box], place) => texts.slice(place + 1)
                .filter(([, other]) => box.x < other.x + other.width && other.x < box.x + box.width
                    && box.y + 20 < other.y + other.height && other.y < box.y + box.height - 20)
                .map(([other]) => `${text} and ${other} of ${picture.getAttribute('aria-label')}`));
        })"""
    )
    assert touching == []


def test_text_in_pictures_is_large_enough_to_read(page):
    heights = page.evaluate(
        "() => [...document.querySelectorAll('figure svg text')].map(one => one.getBoundingClientRect().height)"
    )
    assert len(heights) > 100
    assert min(heights) >= 10


def test_on_paper_it_is_light_and_each_device_begins_a_page(browser, file):
    page = browser.new_page(color_scheme="dark")
    page.goto(file.as_uri())
    page.emulate_media(media="print")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    breaks = page.evaluate(
        "() => [...document.querySelectorAll('.device')].map(one => getComputedStyle(one).breakBefore)"
    )
    assert breaks == ["page"] * 3
    assert page.pdf(prefer_css_page_size=True).startswith(b"%PDF")
    page.close()
