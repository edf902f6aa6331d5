"""A hostile page in a real browser on the machine of the UI changes nothing and learns nothing, wherever it is from."""

import json
from base64 import b64encode
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import dagster as dg
import pytest
from playwright.sync_api import Browser, Page, expect

from air_pipeline_tests.browser.conftest import EVIL, WITHIN_MS
from air_pipeline_tests.running.proxies import LOGIN
from air_pipeline_tests.running_pipeline import Pipeline

pytestmark = [pytest.mark.slow, pytest.mark.browser]

HOSTILE = Path(__file__).with_name("hostile.html").read_text(encoding="utf-8")
SENT_AND_NOT_SEEN = {"form", "form of text", "frame", "beacon"}
"""Of these a page is not told what became of them."""
LEARNS_NOTHING = {"refused", "opaque"}
"""An answer of nginx itself, which asks for the password, is opaque: a page cannot look into it."""


@pytest.fixture(scope="module")
def elsewhere(demo: Pipeline) -> Iterator[int]:
    """A server of hostile pages at another port of the machine, against the UI after the `?`; the port."""

    class Hostile(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            self.end_headers()
            self.wfile.write(HOSTILE.replace("%UI%", self.path.partition("?")[2] or demo.url).encode())

        def log_message(self, *_: Any) -> None:
            """Says nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Hostile) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_port
        server.shutdown()


@pytest.fixture
def victim(browser: Browser) -> Iterator[Page]:
    """A tab of somebody who visits whatever he is sent to."""
    with browser.new_context() as context:
        page = context.new_page()
        page.set_default_timeout(WITHIN_MS)
        yield page


def marks(demo: Pipeline) -> dict[str, Any]:
    """What attacks could have left in the instance, or taken from it."""
    with dg.DagsterInstance.from_config(str(demo.installation.environment.state.dagster)) as instance:
        key = dg.AssetKey("daily_report")
        told = instance.fetch_materializations(key, limit=1000).records
        seen = instance.fetch_observations(key, limit=1000).records
        return {
            "hacked": [
                record.asset_materialization.description
                for record in told
                if record.asset_materialization and "hacked" in str(record.asset_materialization.description)
            ],
            "observed": len(seen),
            "days": len(instance.get_materialized_partitions(key)),
            "assets": len(instance.all_asset_keys()),
        }


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", EVIL])
def test_whatever_a_page_of_another_place_tries_is_refused(
    demo: Pipeline, victim: Page, elsewhere: int, host: str
) -> None:
    before = marks(demo)
    assert before["hacked"] == []
    answers = attacked(victim, f"http://{host}:{elsewhere}/", demo.url)
    assert {status for _, status in answers} == {403}, answers  # there were some
    assert marks(demo) == before


def test_through_nginx_it_is_refused_too_though_the_browser_gives_the_password(
    demo: Pipeline, visitor: Page, elsewhere: int, behind_nginx: str
) -> None:
    """This Chromium keeps it from most of what another site asks for: forms and frames come through the login here."""
    before = marks(demo)
    visitor.set_extra_http_headers({"Authorization": f"Basic {b64encode(':'.join(LOGIN).encode()).decode()}"})
    answer = visitor.goto(f"{behind_nginx}/server_info")
    assert answer is not None
    assert answer.status == 200
    answers = attacked(visitor, f"http://{EVIL}:{elsewhere}/?{behind_nginx}", behind_nginx)
    assert {status for _, status in answers} <= {401, 403}, answers
    assert 403 in {status for _, status in answers}, "none came through the login"
    assert marks(demo) == before


def attacked(victim: Page, hostile: str, ui: str) -> list[tuple[str, int]]:
    """Visits a hostile page, which learns nothing: what the UI answered to each of its attacks."""
    sent: list[str] = []
    answers: list[tuple[str, int]] = []
    victim.on("request", lambda one: sent.append(one.url) if one.url.startswith(ui) else None)
    victim.on("response", lambda got: answers.append((got.url, got.status)) if got.url.startswith(ui) else None)
    victim.goto(hostile)
    victim.wait_for_function("document.title !== 'hostile'")
    became = json.loads(victim.title())
    assert len(became) >= 20
    assert {how for how, what in became.items() if what not in LEARNS_NOTHING} <= SENT_AND_NOT_SEEN
    assert len(sent) >= 20
    for frame in victim.frames[1:]:
        assert "chrome-error" in frame.url or frame.evaluate("document.querySelector('#root')") is None
    return answers


def test_a_name_made_to_lead_to_the_ui_does_not(demo: Pipeline, victim: Page) -> None:
    rebound = demo.url.replace("127.0.0.1", EVIL)
    answer = victim.goto(rebound)
    assert answer is not None
    assert answer.status == 403
    expect(victim.locator("body")).to_contain_text(f"does not answer to the name {EVIL}")
    asked = """async () => { const got = await fetch('/graphql', {method: 'POST', body: '{"query": "{version}"}',
        headers: {'Content-Type': 'application/json'}}); return got.status; }"""
    assert victim.evaluate(asked) == 403


def test_a_link_from_elsewhere_opens_the_ui_and_does_nothing_in_it(
    demo: Pipeline, victim: Page, elsewhere: int
) -> None:
    before = marks(demo)
    victim.goto(f"http://{EVIL}:{elsewhere}/nothing")
    victim.wait_for_function("document.title !== 'hostile'")
    victim.evaluate(
        """ui => { const link = document.createElement('a'); link.href = ui + '/graphql?query=mutation{setNuxSeen}';
        link.textContent = 'a link'; document.body.prepend(link); }""",
        demo.url,
    )
    victim.get_by_text("a link", exact=True).click()
    expect(victim.locator(".graphiql-container").first).to_be_visible(timeout=WITHIN_MS)
    assert marks(demo) == before
