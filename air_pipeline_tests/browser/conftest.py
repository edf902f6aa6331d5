"""A real Chromium, for tests of what people look at, and a demo that runs for it to be looked at."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from air_pipeline_tests.needs import go_without
from air_pipeline_tests.running.proxies import LOGIN, NAME, Proxy, is_there
from air_pipeline_tests.running_pipeline import Installation, Pipeline, running_pipeline
from air_pipeline_tests.waiting import WITHIN_S, wait_for

NAMES = ("chromium", "chromium-browser", "google-chrome")
WITHIN_MS = 1000 * WITHIN_S
EVIL = "evil.example"
"""A name of somebody's that leads to this machine."""


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """One Chromium for all tests of a worker; a test opens its own pages in it."""
    program = next(filter(None, map(shutil.which, NAMES)), None)
    if program is None:
        pytest.fail(f"these tests need a browser, and none of {', '.join(NAMES)} is on the PATH; install Chromium")
    leads_here = f"--host-resolver-rules=MAP {EVIL} 127.0.0.1, MAP {NAME} 127.0.0.1"
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=program, args=["--no-sandbox", leads_here])
        yield chromium
        chromium.close()


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pipeline]:
    """The demo, as its user starts it who has a proxy; one for all tests of a worker."""
    folder = tmp_path_factory.mktemp("demo")
    installation = Installation(folder, state=".air_pipeline")
    with running_pipeline(installation, "demo", "--directory", str(folder), "--behind-proxy", NAME) as pipeline:
        wait_for(lambda: pipeline.check("devices_reporting"), "a report of what comes in")
        yield pipeline
        assert pipeline.stop() == 0


@pytest.fixture
def behind_nginx(demo: Pipeline, tmp_path: Path) -> Iterator[str]:
    """Where the demo is for those who have a password for the nginx in front of it, by the sample of `deploy/`."""
    if not is_there("nginx"):
        go_without("nginx or openssl is not installed")
    proxy = Proxy(tmp_path, int(demo.url.rpartition(":")[2]))
    with proxy.running("nginx"):
        yield f"https://{proxy.netloc}"


@pytest.fixture
def visitor(browser: Browser) -> Iterator[Page]:
    """A tab of somebody who has such a password, and knows the certificate."""
    login = {"username": LOGIN[0], "password": LOGIN[1]}
    with browser.new_context(ignore_https_errors=True, http_credentials=login) as context:
        page = context.new_page()
        page.set_default_timeout(WITHIN_MS)
        expect.set_options(timeout=WITHIN_MS)
        yield page


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A page of a desk's width, on which nothing goes wrong: no error on its console, no request that is refused."""
    with browser.new_context(viewport={"width": 1280, "height": 800}, device_scale_factor=1) as context:
        page = context.new_page()
        page.set_default_timeout(WITHIN_MS)
        expect.set_options(timeout=WITHIN_MS)
        wrong: list[str] = []
        page.on("console", lambda message: wrong.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("response", lambda got: wrong.append(f"{got.status} {got.url}") if got.status >= 400 else None)
        yield page
        assert wrong == []
