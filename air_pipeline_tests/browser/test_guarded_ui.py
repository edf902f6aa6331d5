"""Behind the guard the whole UI works: what it shows while a run goes on, what it launches, what it answers."""

import uuid
from datetime import date

import dagster as dg
import pytest
from playwright.sync_api import Page, WebSocket, expect

from air_pipeline.days.calendar import finished_days
from air_pipeline.deployment import Deployment
from air_pipeline.settings.file import read_settings
from air_pipeline_tests.running_pipeline import Pipeline
from air_pipeline_tests.waiting import wait_for

pytestmark = [pytest.mark.slow, pytest.mark.browser]


def yesterday(demo: Pipeline) -> date:
    settings = read_settings(demo.installation.config)
    return next(finished_days(settings, Deployment(demo.installation.environment, settings).now()))


@pytest.fixture
def heard(page: Page) -> list[str]:
    """What comes by WebSocket while the page is open."""
    return heard_by(page)


def heard_by(page: Page) -> list[str]:
    heard: list[str] = []

    def listen(opened: WebSocket) -> None:
        opened.on("framereceived", lambda frame: heard.append(str(frame)))

    page.on("websocket", listen)
    return heard


def test_a_run_that_is_launched_by_clicks_is_seen_live_and_its_logs_read(
    demo: Pipeline, page: Page, heard: list[str]
) -> None:
    file = demo.installation.file("daily_report", yesterday(demo))
    before = file.stat().st_mtime_ns
    page.goto(f"{demo.url}/assets/daily_report?view=partitions")
    page.get_by_role("button", name="Materialize…").click()
    page.locator(".dagster-portal").get_by_role("button", name="Latest", exact=True).click()
    page.locator(".dagster-portal").get_by_role("button", name="Launch 1 run").click()
    page.get_by_text("View", exact=True).click()
    page.wait_for_url("**/runs/*")
    expect(page.get_by_text("RUN_SUCCESS").last).to_be_visible()
    assert any("RUN_SUCCESS" in one or "RunSuccessEvent" in one for one in heard)
    assert file.stat().st_mtime_ns > before
    page.get_by_text("View stdout / stderr", exact=True).first.click()
    expect(page.get_by_text("Finished execution of step").last).to_be_visible()
    assert any("capturedLogs" in one and "STEP_SUCCESS" in one for one in heard)
    with page.expect_download() as downloaded:
        page.locator("a[href*='/logs/']").click()
    assert "STEP_SUCCESS" in downloaded.value.path().read_text(encoding="utf-8")


def test_every_part_of_the_ui_opens(demo: Pipeline, page: Page) -> None:
    for path, shown in {
        "overview": "Timeline",
        "runs": "Launched by",
        "runs?view=backfills": "Launched by",
        "asset-groups": "Global asset lineage",
        "assets/observations?view=partitions": "Materialized",
        "locations/air_pipeline/jobs/build_day": "Every 15 minutes",
        "locations/air_pipeline/sensors/collect": "Preview tick result",
        "locations/air_pipeline/schedules/build_days": "Preview tick result",
        "deployment/locations": "1 code location",
        "deployment/daemons": "Sensors",
        "deployment/config": "local_artifact_storage",
    }.items():
        page.goto(f"{demo.url}/{path}")
        expect(page.get_by_text(shown).first).to_be_visible()


def test_graphiql_answers_a_query(demo: Pipeline, page: Page) -> None:
    page.goto(f"{demo.url}/graphql")
    page.get_by_role("button", name="Execute query").wait_for()
    page.locator(".graphiql-query-editor .CodeMirror").click()
    page.keyboard.press("Control+A")
    page.keyboard.insert_text("{version}")
    page.get_by_role("button", name="Execute query").click()
    version = demo.ask("{version}")["version"]
    wait_for(lambda: version in page.locator(".result-window").inner_text(), "the answer")


def test_through_nginx_pages_open_and_a_log_comes_while_it_is_written(
    demo: Pipeline, visitor: Page, behind_nginx: str
) -> None:
    heard = heard_by(visitor)
    wrong: list[tuple[int, str]] = []
    visitor.on("response", lambda got: wrong.append((got.status, got.url)) if got.status > 401 else None)
    for path, shown in {"overview": "Timeline", "asset-groups": "Global asset lineage"}.items():
        visitor.goto(f"{behind_nginx}/{path}")
        expect(visitor.get_by_text(shown).first).to_be_visible()
    with dg.DagsterInstance.from_config(str(demo.installation.environment.state.dagster)) as instance:
        run = instance.add_run(dg.DagsterRun("build_day", str(uuid.uuid4())))
        try:
            visitor.goto(f"{behind_nginx}/runs/{run.run_id}")
            wait_for(lambda: visitor.title() and heard, "the page that listens")
            instance.report_engine_event("it goes on", run)
            expect(visitor.get_by_text("it goes on").first).to_be_visible()
            assert any("it goes on" in one for one in heard)
        finally:
            instance.delete_run(run.run_id)
    assert wrong == []
