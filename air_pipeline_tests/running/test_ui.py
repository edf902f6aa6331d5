"""`air-pipeline ui`, as its user starts it: who gets in, directly and through proxies, and who may only look."""

import base64
import json
import re
import socket
import uuid
from collections.abc import Iterator
from contextlib import closing, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Event, Thread
from typing import Any

import dagster as dg
import pytest
import requests
import websockets.sync.client
from websockets.exceptions import InvalidStatus

from air_pipeline.running import UpError
from air_pipeline.running.guard import HEADERS
from air_pipeline.running.up import wait_for_ui
from air_pipeline_tests.needs import go_without
from air_pipeline_tests.running.proxies import LOGIN, NAME, Proxy, is_there
from air_pipeline_tests.running_pipeline import Installation, Pipeline, dead_port, running_pipeline, today
from air_pipeline_tests.waiting import WITHIN_S, wait_for

MUTATION = "mutation{setNuxSeen}"
LIVE_LOG = """
subscription($run: ID!) {
  pipelineRunLogs(runId: $run) {
    ... on PipelineRunLogsSubscriptionSuccess { messages { ... on MessageEvent { message } } }
  }
}
"""


@pytest.fixture(scope="module")
def ui(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pipeline]:
    """The UI alone, read-only, behind proxies of one name; one for all tests."""
    installation = Installation(tmp_path_factory.mktemp("home"))
    installation.config.write_text(
        f"timezone: Europe/Warsaw\nstart: {today()}\ndevices:\n"
        f"  - {{id: attic, url: http://127.0.0.1:{dead_port()}/circumstances}}\n",
        encoding="utf-8",
    )
    with running_pipeline(installation, "ui", "--read-only", "--behind-proxy", NAME) as pipeline:
        yield pipeline
        assert pipeline.stop() == 0
        assert "Traceback" not in pipeline.said
    assert installation.processes() == []


def port_of(ui: Pipeline) -> int:
    return int(ui.url.rpartition(":")[2])


def answer(ui: Pipeline, *lines: str) -> str:
    """What the server answers to a request that no library would send."""
    with closing(socket.create_connection(("127.0.0.1", port_of(ui)), WITHIN_S)) as connection:
        connection.sendall("".join(f"{line}\r\n" for line in (*lines, "Connection: close", "")).encode())
        return b"".join(iter(lambda: connection.recv(65536), b"")).decode()


def is_guarded(headers: Any) -> bool:
    return all(headers.get(name.decode()) == value.decode() for name, value in HEADERS)


def test_the_ui_alone_shows_the_assets(ui: Pipeline) -> None:
    [node] = ui.ask('{assetNodes(assetKeys: [{path: ["daily_report"]}]) {description}}')["assetNodes"]
    assert "One HTML page a local date" in node["description"]


def test_a_second_one_at_its_port_says_so(ui: Pipeline) -> None:
    second = ui.installation.run("ui", "--port", str(port_of(ui)))
    assert (second.returncode, second.stderr) == (
        1, f"port {port_of(ui)} of 127.0.0.1 is taken; choose another with --port\n"
    )  # fmt: skip


def test_who_may_only_look_changes_nothing(ui: Pipeline) -> None:
    wipe = 'mutation{wipeAssets(assetPartitionRanges: [{assetKey: {path: ["observations"]}}]) {__typename}}'
    assert ui.ask(wipe)["wipeAssets"]["__typename"] == "UnauthorizedError"
    reported = requests.post(f"{ui.url}/report_asset_materialization/observations", json={}, timeout=WITHIN_S)
    assert reported.status_code == 401


def test_every_answer_says_who_may_show_it(ui: Pipeline) -> None:
    page = requests.get(ui.url, timeout=WITHIN_S)
    [script, *_] = re.findall(r'src="(/_next/static/[^"]+\.js)"', page.text)
    for path, status in {
        "/": 200,
        script: 200,
        "/_next/static/nothing": 404,
        "/server_info": 200,
        "/graphql": 403,
    }.items():
        got = requests.get(f"{ui.url}{path}", timeout=WITHIN_S)
        assert (got.status_code, is_guarded(got.headers)) == (status, True), path
    evil = requests.get(ui.url, headers={"Host": "evil.example"}, timeout=WITHIN_S)
    assert evil.status_code == 403
    assert is_guarded(evil.headers)
    assert "--behind-proxy evil.example" in evil.text
    assert evil.headers["content-type"].startswith("text/plain")


def test_a_query_by_get_is_not_run_however_its_path_is_spelt(ui: Pipeline) -> None:
    for path in (
        "/graphql",
        "/%67raphql",
        "/graphql%0A",
        "/graphql%0a",
        "/GRAPHQL",
        "//graphql",
        "/./graphql",
        "/x/../graphql",
    ):
        got = answer(ui, f"GET {path}?query={MUTATION} HTTP/1.1", "Host: localhost")
        assert "setNuxSeen" not in got.partition("\r\n\r\n")[2], path
        assert got.startswith(("HTTP/1.1 403", "HTTP/1.1 200 OK")), path


def test_requests_that_no_browser_sends_are_decided_too(ui: Pipeline) -> None:
    assert answer(ui, "GET / HTTP/1.0").startswith("HTTP/1.1 403")
    assert not answer(ui, "GET / HTTP/1.1", "Host: localhost", "Host: evil.example").startswith("HTTP/1.1 200")
    assert answer(ui, "GET http://localhost/ HTTP/1.1", "Host: evil.example").startswith("HTTP/1.1 403")
    assert answer(ui, "HEAD / HTTP/1.1", "Host: evil.example").startswith("HTTP/1.1 403")
    assert answer(ui, "GET / HTTP/1.1", "Host: localhost").startswith("HTTP/1.1 200")


def test_refusals_are_in_the_log_and_do_not_fill_it(ui: Pipeline) -> None:
    for number in range(100):
        requests.get(f"{ui.url}/{number}", headers={"Host": "evil.example"}, timeout=WITHIN_S)
    log = ui.installation.environment.state.dagster_log
    told = [line for line in log.read_text(encoding="utf-8").splitlines() if "refused '" in line]
    assert 1 <= len(told) < 50


@contextmanager
def web_socket(address: str, origin: str, connection: socket.socket | None = None, **headers: str) -> Iterator[Any]:
    """A WebSocket as the UI opens it."""
    with websockets.sync.client.connect(
        address, sock=connection, origin=origin, subprotocols=["graphql-ws"], additional_headers=headers, proxy=None,
        ssl=None, open_timeout=WITHIN_S,
    ) as opened:  # fmt: skip
        yield opened


def hears_a_run(ui: Pipeline, opened: Any) -> bool:
    """Whether what a run says from now on comes through a WebSocket."""
    home = ui.installation.environment.state.dagster
    with dg.DagsterInstance.from_config(str(home)) as instance:
        run = instance.add_run(dg.DagsterRun("build_day", str(uuid.uuid4())))
        opened.send(json.dumps({"type": "connection_init"}))
        assert json.loads(opened.recv(WITHIN_S)) == {"type": "connection_ack"}
        payload = {"query": LIVE_LOG, "variables": {"run": run.run_id}}
        opened.send(json.dumps({"type": "start", "id": "1", "payload": payload}))
        instance.report_engine_event("it goes on", run)
        return bool(wait_for(lambda: "it goes on" in opened.recv(WITHIN_S), "the live log"))


def test_a_live_log_comes_by_web_socket_to_pages_of_the_ui_alone(ui: Pipeline) -> None:
    address = f"{ui.url.replace('http', 'ws')}/graphql"
    with web_socket(address, ui.url) as opened:
        assert hears_a_run(ui, opened)
    for origin in ("http://evil.example", f"http://localhost:{port_of(ui)}", "null"):
        with pytest.raises(InvalidStatus) as refused, web_socket(address, origin):
            pass
        assert refused.value.response.status_code == 403
        assert is_guarded(refused.value.response.headers)
        assert b"asked for by a page" in refused.value.response.body


@pytest.mark.parametrize("program", ["nginx", "caddy"])
def test_through_a_proxy_who_has_its_password_gets_in_and_pages_of_others_do_not(
    ui: Pipeline, tmp_path: Path, program: str
) -> None:
    if not is_there(program):
        lacking = go_without if program == "nginx" else pytest.skip  # Caddy is wherever somebody has it
        lacking(f"{program} or openssl is not installed")
    proxy = Proxy(tmp_path, port_of(ui))
    with proxy.running(program), requests.Session() as session:
        session.trust_env, session.verify = False, str(proxy.certificate)
        session.headers["Host"] = proxy.netloc
        url = f"https://127.0.0.1:{proxy.port}"
        assert session.get(url, timeout=WITHIN_S).status_code == 401
        session.auth = LOGIN
        assert "<html" in session.get(url, timeout=WITHIN_S).text
        own = {"Origin": f"https://{proxy.netloc}", "Sec-Fetch-Site": "same-origin"}
        asked = session.post(f"{url}/graphql", json={"query": "{version}"}, headers=own, timeout=WITHIN_S)
        assert asked.json()["data"]["version"]
        others = {"Origin": "https://evil.example"}
        refused = session.post(f"{url}/graphql", json={"query": "{version}"}, headers=others, timeout=WITHIN_S)
        assert (refused.status_code, is_guarded(refused.headers)) == (403, True)
        login = "Basic " + base64.b64encode(":".join(LOGIN).encode()).decode()
        address = f"ws://{proxy.netloc}/graphql"  # the connection has TLS already
        with web_socket(address, own["Origin"], proxy.connect(), Authorization=login) as opened:
            assert hears_a_run(ui, opened)
        with (
            pytest.raises(InvalidStatus, match="403"),
            web_socket(address, others["Origin"], proxy.connect(), Authorization=login),
        ):
            pass
        with pytest.raises(InvalidStatus, match="401"), web_socket(address, own["Origin"], proxy.connect()):
            pass


def test_a_ui_without_the_guard_is_not_taken_for_one_with_it(ui: Pipeline) -> None:
    """A release of Dagster that makes its application in another way must not open what was closed."""

    class Unguarded(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            entry = {"loadStatus": "LOADED", "locationOrLoadError": {"__typename": "CodeLocation"}}
            self.send_response(200)
            self.end_headers()
            self.wfile.write(json.dumps({"data": {"workspaceOrError": {"locationEntries": [entry]}}}).encode())

        def log_message(self, *_: Any) -> None:
            """Says nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Unguarded) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        with pytest.raises(UpError, match="would obey whoever asks"):
            wait_for_ui(f"http://127.0.0.1:{server.server_port}", [], Event(), ui.installation.environment)
        server.shutdown()
    wait_for_ui(ui.url, [], Event(), ui.installation.environment)
