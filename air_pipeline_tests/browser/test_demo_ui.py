"""The demo in Dagster's UI, by clicks, as its user sees it.

The pictures of the README come from here: `SCREENSHOTS=docs/images` says where they go.
"""

import os
from datetime import timedelta
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from air_pipeline.days.calendar import finished_days
from air_pipeline.deployment import Deployment
from air_pipeline.settings.file import read_settings
from air_pipeline.storage.pages import page_file
from air_pipeline_tests.running_pipeline import Pipeline
from air_pipeline_tests.waiting import wait_for

pytestmark = [pytest.mark.slow, pytest.mark.browser]

ASSETS = {
    "devices": "What is polled",
    "raw_readings": "Every poll of every device",
    "observations": "A row for every slot",
    "hourly_aggregates": "A row for every device, series and hour",
    "daily_aggregates": "A row for every device and series",
    "daily_report": "One HTML page a local date",
}


def picture(page: Page, name: str) -> None:
    """Keeps a picture for the README, if somebody asks for them."""
    folder = os.environ.get("SCREENSHOTS")
    if folder:
        page.mouse.move(0, 0)
        page.wait_for_timeout(1500)  # what fades in has done so
        page.screenshot(path=Path(folder) / f"{name}.png")


def test_the_catalog_shows_every_asset_with_what_it_is(demo: Pipeline, page: Page) -> None:
    page.goto(f"{demo.url}/assets")
    for name, meaning in ASSETS.items():
        expect(page.locator(f"a[href='/assets/{name}']").first).to_be_visible()
        expect(page.get_by_text(meaning).first).to_be_visible()


def test_the_lineage_leads_from_the_devices_to_the_report(demo: Pipeline, page: Page) -> None:
    page.goto(f"{demo.url}/assets/daily_report?view=lineage&lineageScope=upstream&lineageDepth=5")
    for name in ASSETS:
        expect(page.get_by_text(name, exact=True).last).to_be_visible()
    picture(page, "lineage")


def test_a_check_rightly_warns_of_the_dying_thermometers_and_the_others_pass(demo: Pipeline, page: Page) -> None:
    page.goto(f"{demo.url}/assets/daily_aggregates?view=checks")
    expect(page.get_by_text("1 of 42 series are not complete: greenhouse ds18b20_temperature")).to_be_visible()
    expect(page.get_by_text("Succeeded")).to_have_count(13)  # all but this one and `ds18b20_measuring`
    picture(page, "check")
    page.goto(f"{demo.url}/assets/raw_readings?view=checks")
    expect(page.get_by_text("Succeeded").first).to_be_visible()
    expect(page.get_by_text("Failed")).to_have_count(0)


def test_what_comes_in_is_told_in_numbers(demo: Pipeline, page: Page) -> None:
    page.goto(f"{demo.url}/assets/raw_readings?view=events")
    expect(page.get_by_text("readings in").first).to_be_visible()
    expect(page.get_by_text("polls_ok", exact=True).first).to_be_visible()


def test_a_day_shows_its_numbers_and_its_picture(demo: Pipeline, page: Page) -> None:
    settings = read_settings(demo.installation.config)
    yesterday = next(finished_days(settings, Deployment(demo.installation.environment, settings).now()))
    page.goto(f"{demo.url}/assets/daily_report?view=partitions&partition={yesterday}")
    expect(page.get_by_text("Materialized", exact=True).first).to_be_visible()
    page.get_by_text("Show Markdown").first.click()
    expect(page.locator("img[src^='data:image/png']").first).to_be_visible()


def test_yesterday_is_on_a_page(demo: Pipeline, page: Page) -> None:
    settings = read_settings(demo.installation.config)
    yesterday = next(finished_days(settings, Deployment(demo.installation.environment, settings).now()))
    page.goto(page_file(demo.installation.environment.data, yesterday).path.as_uri())
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    for device in settings.devices:
        expect(page.get_by_role("heading", name=device.id, exact=True)).to_be_visible()
    page.set_viewport_size({"width": 1100, "height": 1350})
    picture(page, "report")


def test_collecting_and_building_are_switched_on(demo: Pipeline, page: Page) -> None:
    page.goto(f"{demo.url}/automation")
    for name in ("build_days", "collect"):
        expect(page.get_by_text(name, exact=True)).to_be_visible()


def test_a_backfill_started_by_clicks_ends_green(demo: Pipeline, page: Page) -> None:
    settings = read_settings(demo.installation.config)
    yesterday = next(finished_days(settings, Deployment(demo.installation.environment, settings).now()))
    file = demo.installation.file("daily_aggregates", yesterday)
    before = file.stat().st_mtime_ns
    page.goto(f"{demo.url}/locations/air_pipeline/jobs/build_day")
    page.get_by_role("button", name="Materialize all").click()
    chosen = page.get_by_placeholder("No matching partitions")
    chosen.fill(f"[{yesterday - timedelta(days=1)}...{yesterday}]")
    chosen.press("Enter")
    expect(page.get_by_text("2 partitions")).to_be_visible()
    page.get_by_role("button", name="Launch backfill").click()
    page.get_by_text("View", exact=True).click()
    expect(page.get_by_text("100% completed")).to_be_visible()
    backfill = page.url.split("/runs/b/")[1].split("?")[0]
    wait_for(lambda: demo.backfill_status(backfill) == "COMPLETED_SUCCESS", "a backfill that ends green")
    assert file.stat().st_mtime_ns > before
