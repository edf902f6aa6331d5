"""An eventful hour in small: everything that can fail fails, and no secret is in what was written, said or sent."""

import base64
import itertools
import os
import signal
import socket
import stat
import subprocess
import sys
import threading
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from urllib.parse import quote

import dagster as dg
import pytest
import requests

from air_pipeline.assets.devices import devices_materialization
from air_pipeline.definitions import build_definitions
from air_pipeline.deployment import open_deployment, present
from air_pipeline.devices.simulator import Simulator
from air_pipeline_tests.assets.small_deployments import real_instance, run_job
from air_pipeline_tests.cli.in_this_process import in_this_process
from air_pipeline_tests.devices.raw_server import answering, http
from air_pipeline_tests.notifying.receivers import Hook, Post, certificate, mail_server
from air_pipeline_tests.running_pipeline import dead_port, free_port, today
from air_pipeline_tests.waiting import WITHIN_S, wait_for

SECRETS = {
    "in a device's address": "d3vice-Passw0rd",
    "in a variable of a device's address": "v@riable/of:d3vice",
    "in auth of a device": "auth-Passw0rd-of-device",
    "in a file of auth": "file-Passw0rd-of-device",
    "in a header of a device": "h3ader-of-device",
    "in a query of a device's address": "qu3ry-Of-Device",
    "that a kind puts into its query": "pl4g-Passw0rd",
    "in the address of InfluxDB": "influx-Addr3ss-Pw",
    "the token": "t0ken+of/influx==",
    "the token of an older bucket": "0lder-t0ken==",
    "in a file of the token": "f1le-t0ken==",
    "in the path of a webhook": "path-0f-webhook",
    "in a variable of a webhook": "variabl3-of-webhook",
    "the mail server's password": "smtp-Passw0rd",
}


def forms(secret):
    """A secret as it may be written: as it is, quoted, in base64 alone and behind a user (at any place of three)."""
    yield from {secret, quote(secret), quote(secret, safe="")}
    for before in ("", "admin:", "x", "xx"):
        encoded = base64.b64encode(f"{before}{secret}".encode()).decode().rstrip("=")
        yield encoded[2:-1] if before else encoded[:-1]


_REFUSAL = b'{"code":"unauthorized","message":"unauthorized access"}'
ANSWERS = [
    b"HTTP/1.1 401 Unauthorized\r\nX-Influxdb-Version: v2\r\nContent-Length: 55\r\n\r\n" + _REFUSAL,
    b"HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\nsome of it",
    b"",
    b"this is no HTTP\r\n\r\n",
    b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
]
"""What a store says that fails, each twice in a row: also to who asks at once again."""
FAULTS = 2 * len(ANSWERS)


@contextmanager
def influxdb_that_fails():
    """A server at InfluxDB's place that refuses, breaks off, says no HTTP and nothing, in turn; counts what came."""
    asked = []
    listener = socket.create_server(("127.0.0.1", 0))

    def serve():
        for answer in itertools.cycle(answer for answer in ANSWERS for _ in range(2)):
            try:
                accepted, _ = listener.accept()
            except OSError:
                return
            with accepted:
                accepted.settimeout(1.0)
                try:
                    asked.append(accepted.recv(65536))
                    accepted.sendall(answer)
                except OSError:
                    continue

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield listener.getsockname()[1], asked
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join()


CONFIGURATION = """
timezone: Europe/Warsaw
start: {start}
interval: 1s
timeout: 1s
collector: external
notify:
  webhook: ["{hook}", $OUR_WEBHOOK]
  email: {{to: a@example.org, from: b@example.org, server: "127.0.0.1:{mail}", user: me}}
  wait: 0s
devices:
  - {{id: hall, url: "http://admin:{password}@{hall}"}}
  - {{id: attic, url: "http://admin:$STATION_PASSWORD@{attic}"}}
  - {{id: cellar, url: "http://127.0.0.1:{refusing}/c?key={query}"}}
  - {{id: shed, url: "http://{shed}", auth: {{user: admin, password: $SHED_PASSWORD}}, headers: {{X-Key: $SHED_KEY}}}}
  - {{id: roof, url: "http://127.0.0.1:{wants}/c", auth: {{user: admin, password: "file:{file}"}}}}
  - {{id: page, url: "http://admin:{password}@127.0.0.1:{page}/c"}}
  - id: plug
    kind: tasmota
    url: "http://127.0.0.1:{page}"
    auth: &plug {{user: admin, password: $PLUG_PASSWORD}}
    sensors: &outside {{outside: {{temperature: {{unit: "°C"}}}}}}
  - {{id: gone, kind: tasmota, url: "http://127.0.0.1:{refusing}", auth: *plug, sensors: *outside}}
"""


@pytest.fixture
def services(tmp_path, monkeypatch):
    """Devices, a webhook, a mail server and something in InfluxDB's place; the environment and a devices.yaml."""
    context, trusted = certificate(tmp_path)
    hook, post = Hook(500, 404, 302), Post(logins={"me": SECRETS["the mail server's password"]})
    with ExitStack() as stack:
        simulator = stack.enter_context(Simulator(["hall", "attic", "shed"]))
        page = stack.enter_context(answering(http(b'{"nodemcu":')))
        challenge = 'WWW-Authenticate: Digest realm="r", nonce="n", qop="auth"'
        wants = stack.enter_context(answering(http(b"", challenge, status="401 Who")))
        file = tmp_path / "password"
        file.write_text(SECRETS["in a file of auth"], encoding="utf-8")
        port, asked = stack.enter_context(influxdb_that_fails())
        text = CONFIGURATION.format(
            start=today() - timedelta(days=1),
            hook=stack.enter_context(hook).url("/" + SECRETS["in the path of a webhook"]),
            mail=stack.enter_context(mail_server(post, context)),
            password=SECRETS["in a device's address"],
            query=SECRETS["in a query of a device's address"],
            hall=simulator.url("hall").removeprefix("http://"),
            attic=simulator.url("attic").removeprefix("http://"),
            refusing=dead_port(),
            shed=simulator.url("shed").removeprefix("http://"),
            wants=wants.port,
            file=file,
            page=page.port,
        )
        home = tmp_path / "home"
        home.mkdir(0o755)
        config = home / "devices.yaml"
        config.write_text(text, encoding="utf-8")
        config.chmod(0o600)
        for name, value in {
            "AIR_PIPELINE_CONFIG": str(config),
            "AIR_PIPELINE_STATE": str(home / "state"),
            "AIR_PIPELINE_SMTP_PASSWORD": SECRETS["the mail server's password"],
            "SHED_PASSWORD": SECRETS["in auth of a device"],
            "PLUG_PASSWORD": SECRETS["that a kind puts into its query"],
            "SHED_KEY": SECRETS["in a header of a device"],
            "STATION_PASSWORD": SECRETS["in a variable of a device's address"],
            "OUR_WEBHOOK": hook.url("/" + SECRETS["in a variable of a webhook"]),
            "SSL_CERT_FILE": str(trusted),
            "INFLUXDB_V2_URL": f"http://127.0.0.1:{port}",
            "INFLUXDB_V2_TOKEN": SECRETS["the token"],
            "OLD_TOKEN": SECRETS["the token of an older bucket"],
            "INFLUXDB_V2_ORG": "home",
            "INFLUXDB_V2_BUCKET": "air",
        }.items():
            monkeypatch.setenv(name, value)
        yield config, hook, post, asked, simulator, page


def test_no_secret_is_written_said_or_sent(services, tmp_path, monkeypatch, capsys):  # noqa: PLR0915 -- one hour
    config, hook, post, asked, simulator, page = services
    state = config.parent / "state"
    said: dict[str, str] = {}

    def command(*arguments):
        status, out, err = in_this_process(monkeypatch, capsys, *arguments)
        said[f"air-pipeline {' '.join(arguments)}"] = out + err
        return status

    before = os.umask(0o022)
    metrics = free_port()
    collector = subprocess.Popen(
        [sys.executable, "-m", "air_pipeline", "collect", "--metrics", str(metrics)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    os.umask(before)
    wait_for(lambda: len(asked) > 1 and simulator.requests("attic").times_ms, "polls, and faults of the store")
    command("poll", "page")

    def told():
        said["the metrics"] = requests.get(f"http://127.0.0.1:{metrics}/metrics", timeout=WITHIN_S).text
        return 'device="plug"' in said["the metrics"]

    wait_for(told, "the metrics of a device")
    login = SECRETS["that a kind puts into its query"].encode()
    wait_for(lambda: any(login in one for one in page.requests), "a login in a query")
    collector.send_signal(signal.SIGTERM)
    said["the collector"] = collector.communicate(timeout=WITHIN_S)[0]
    assert "InfluxDB at http://127.0.0.1" in said["the collector"] + said["air-pipeline poll page"]

    assert command("doctor") == 1
    assert "curl http://…@127.0.0.1" in said["air-pipeline doctor"]
    new = str(tmp_path / "x.yaml")
    for arguments in (
        ("poll",),
        ("poll", "--json"),
        ("latest",),
        ("outbox",),
        ("notify",),
        ("notify", "--test"),
        ("report",),
        ("history", "hall"),
        ("init", "--force", "--config", new, "http://admin:$STATION_PASSWORD@127.0.0.1:1/c", "--timezone", "UTC"),
    ):
        command(*arguments)
    monkeypatch.setenv("AIR_PIPELINE_CONFIG", str(config))

    deployment = open_deployment()
    with real_instance(tmp_path) as instance:
        instance.report_runless_asset_event(devices_materialization(deployment))
        run_job(deployment, instance)
        for kind in ("collect", "notify", "notify"):
            said[f"the sensor {kind}, {len(said)}"] = ticked(deployment, instance, kind)
        valid = config.read_text(encoding="utf-8")
        for url in (simulator.url("attic"), "http://10.0.0 .1/c"):
            password = SECRETS["in a device's address"]
            wrong = url.replace("//", f"//admin:{password}@")
            entries = f'  - {{id: again, url: "{wrong}"}}\n  - {{id: more, url: "{wrong}"}}\n'
            config.write_text(valid + entries, encoding="utf-8")
            command("doctor")
            mistake = said[f"the mistake of {url}"] = str(present(deployment).mistake)
            assert "http://…@" in mistake
            for kind in ("collect", "notify"):
                said[f"the sensor {kind}, {len(said)}"] = ticked(deployment, instance, kind)
        config.write_text(valid, encoding="utf-8")
        monkeypatch.setenv("INFLUXDB_V2_URL", f"http://me:{SECRETS['in the address of InfluxDB']}@localhost:70000")
        assert command("latest") == 2
        monkeypatch.setenv("INFLUXDB_V2_URL", f"http://me:{SECRETS['in the address of InfluxDB']}@localhost:8086")
        assert command("up") == 2
        said["the settings"] = repr((deployment.settings, deployment.environment))
    said["bodies of webhooks"] = repr(hook.bodies)
    said["mails"] = "".join(one.as_string() for one in post.mails)
    assert len(hook.bodies) > 3
    assert post.mails
    assert len(asked) > FAULTS  # each of the faults was met

    said |= written_below(config.parent, but={config, state / "devices.last-valid.yaml"})
    said |= written_below(tmp_path / "dagster", but=set())
    assert any("outbox.sqlite" in name for name in said)
    assert found_in(said) == []
    paths = [state, *state.rglob("*")]
    assert {str(path) for path in paths if stat.S_IMODE(path.stat().st_mode) & 0o077} == set()


def test_no_secret_is_said_by_what_asks_a_store_whatever_it_answers(services, tmp_path, monkeypatch, capsys):
    """Ours or that of others, its token in a variable, in a file, or where it should not be."""
    config, _, _, asked, *_ = services
    said: dict[str, str] = {}

    def each_fault(*arguments):
        """Every fault of the store is met once at least; in how many ways the command failed."""
        before, ways = len(asked), set()
        while len(asked) < before + FAULTS:
            asked_so_far = len(asked)
            status, out, err = in_this_process(monkeypatch, capsys, *arguments)
            assert status, arguments
            assert len(asked) > asked_so_far, err
            ways.add(err)
            said[f"air-pipeline {' '.join(arguments)}, {len(said)}"] = out + err
        return len(ways)

    def once(*arguments):
        status, out, err = in_this_process(monkeypatch, capsys, *arguments)
        said[f"air-pipeline {' '.join(arguments)}, {len(said)}"] = out + err
        return status

    mapping, written = tmp_path / "old.yaml", tmp_path / "written.yaml"
    old = "like: ahttpdc\ninfluxdb: {url: '%s', org: home, bucket: sensors, token: %s}\n"
    mapping.write_text(old % (os.environ["INFLUXDB_V2_URL"], "$OLD_TOKEN"), encoding="utf-8")
    written.write_text(old % ("http://127.0.0.1:1", SECRETS["the token of an older bucket"]), encoding="utf-8")
    query = 'from(bucket: "air") |> range(start: -1h)'
    assert each_fault("flux", query) > 4
    assert each_fault("import", "--as", str(mapping), "--device", "hall") > 4
    assert any(SECRETS["the token of an older bucket"].encode() in one for one in asked)
    assert once("import", "--as", str(written), "--device", "hall") == 2
    once("explain", "--device", "hall", "--series", "dht22_temperature", "--at", "-1h")
    once("copy", "embedded")
    token = tmp_path / "token"
    token.write_text(f"{SECRETS['in a file of the token']}\n", encoding="utf-8")
    monkeypatch.setenv("INFLUXDB_V2_TOKEN_FILE", str(token))
    assert once("latest") == 2  # which of the two
    monkeypatch.delenv("INFLUXDB_V2_TOKEN")
    assert each_fault("flux", query) > 4
    assert any(SECRETS["in a file of the token"].encode() in one for one in asked)
    once("doctor")
    token.write_text(f"{SECRETS['in a file of the token']}\nmore\n", encoding="utf-8")
    assert once("latest") == 2
    said |= written_below(config.parent, but={config, config.parent / "state" / "devices.last-valid.yaml"})
    assert found_in(said) == []


def found_in(said):
    """Which secrets are in what was said or written, and where."""
    return [
        f"the secret {where} in {name}"
        for name, text in said.items()
        for where, secret in SECRETS.items()
        if any(form in text for form in forms(secret))
    ]


def ticked(deployment, instance, kind):
    """All that a tick of a sensor gives to Dagster."""
    definitions = build_definitions(deployment)
    resources = {"deployment": deployment}
    with dg.build_sensor_context(instance, resources=resources, definitions=definitions) as context:
        return repr(definitions.resolve_sensor_def(kind).evaluate_tick(context))


def written_below(folder, but):
    """Every file with what is in it."""
    return {str(p): p.read_bytes().decode("latin-1") for p in folder.rglob("*") if p.is_file() and p not in but}
